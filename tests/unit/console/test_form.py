from __future__ import annotations

import pytest

from sumun.console.form import from_this_origin

HOST = {"host": "127.0.0.1:8090"}


@pytest.mark.parametrize(
    ("headers", "counts"),
    [
        ({"origin": "http://127.0.0.1:8090", "sec-fetch-site": "same-origin"}, True),
        ({"origin": "http://127.0.0.1:8090"}, True),
        ({"origin": "https://127.0.0.1:8090"}, True),
        ({}, False),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"origin": "null"}, False),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, False),
        ({"origin": "http://127.0.0.1:8090", "sec-fetch-site": "cross-site"}, False),
        ({"origin": "http://127.0.0.1:8090", "sec-fetch-site": "same-site"}, False),
        ({"origin": "http://127.0.0.1:8090", "sec-fetch-site": "none"}, False),
        ({"origin": "http://127.0.0.1:8091"}, False),
        ({"origin": "http://127.0.0.1"}, False),
        ({"origin": "http://127.0.0.1:8090.evil.example"}, False),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "http://evil.example@127.0.0.1:8090"}, False),
        ({"origin": "ftp://127.0.0.1:8090"}, False),
        ({"origin": "http://[::1"}, False),
        ({"origin": "//127.0.0.1:8090"}, False),
    ],
)
def test_only_our_own_origin_counts(headers: dict[str, str], counts: bool) -> None:
    assert from_this_origin(HOST | headers) is counts


def test_without_a_host_nothing_counts() -> None:
    assert from_this_origin({"origin": "http://"}) is False
