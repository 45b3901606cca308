"""Which proxy a list server is reached through."""

from __future__ import annotations

from pathlib import Path

import pytest

from sumun.loading.outcome import NotTaken
from sumun.loading.sources import LoadError
from sumun.loading.subscriptions import proxies, trust

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("configured", "environment", "expected"),
    [
        (None, {}, ""),
        (None, {"https_proxy": PROXY}, PROXY),
        (None, {"HTTPS_PROXY": PROXY}, PROXY),
        ("", {"https_proxy": PROXY}, ""),
        (PROXY, {}, PROXY),
        (PROXY, {"no_proxy": "*"}, PROXY),
        (None, {"https_proxy": PROXY, "no_proxy": "other.example, .example"}, ""),
        (None, {"https_proxy": PROXY, "no_proxy": "ists.example"}, PROXY),
        (None, {"https_proxy": PROXY, "NO_PROXY": "*"}, ""),
    ],
)
def test_the_configuration_before_the_environment(
    configured: str | None, environment: dict[str, str], expected: str
) -> None:
    assert proxies(configured, environment)("lists.example") == expected


def test_a_proxy_of_the_environment_that_cannot_be_used_is_said() -> None:
    with pytest.raises(NotTaken, match="environment variable `https_proxy`: `socks5://x:1` is not a proxy"):
        proxies(None, {"https_proxy": "socks5://x:1"})("lists.example")


def test_roots_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="upstream_ca"):
        trust(tmp_path / "none.pem")
