from __future__ import annotations

from ipaddress import ip_address

import pytest

from sumun.console.probes import reachable


@pytest.mark.parametrize(
    ("listening", "asked"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.53", "192.0.2.53"), ("2001:db8::53", "2001:db8::53")],
)
def test_a_wildcard_is_asked_on_loopback(listening: str, asked: str) -> None:
    assert reachable(ip_address(listening)) == ip_address(asked)
