"""Upstream resolvers as an administrator writes them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config.fault import Unreadable
from sumun.config.settings import Transport, Upstream
from sumun.config.upstreams import SYSTEM, upstream


@pytest.mark.parametrize(
    ("text", "host", "port", "transport", "name", "path"),
    [
        ("udp://192.0.2.53", "192.0.2.53", 53, Transport.UDP, "", ""),
        ("udp://[2001:db8::53]:5353", "2001:db8::53", 5353, Transport.UDP, "", ""),
        ("tls://192.0.2.53#DNS.example", "192.0.2.53", 853, Transport.TLS, "dns.example", ""),
        ("tls://192.0.2.53:8853", "192.0.2.53", 8853, Transport.TLS, "192.0.2.53", ""),
        ("https://dns.example/dns-query", "dns.example", 443, Transport.HTTPS, "dns.example", "/dns-query"),
        ("https://dns.example:8443", "dns.example", 8443, Transport.HTTPS, "dns.example", "/dns-query"),
    ],
)
def test_what_is_read(text: str, host: str, port: int, transport: Transport, name: str, path: str) -> None:
    assert upstream(text) == Upstream(text, transport, host, port, name, path)


def test_the_resolvers_of_the_system() -> None:
    assert upstream(" system ") == SYSTEM


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.0.2.53", "`192.0.2.53` is not a resolver: write `udp://192.0.2.53`"),
        ("tcp://192.0.2.53", "is not a resolver: write `system`, `udp://"),
        ("udp://dns.example", "write the address, since a name would need a resolver"),
        ("tls://dns.example", "write the address, since a name would need a resolver"),
        ("udp://192.0.2.53:99999", "the port is a number from 1 to 65535"),
        ("udp://192.0.2.53:0", "the port is a number from 1 to 65535"),
        ("udp://192.0.2.53/x", "has a path, which means nothing here"),
        ("udp://192.0.2.53#dns.example", "has a fragment, which means nothing here"),
        ("https://user@dns.example/", "has a user, which means nothing here"),
        ("https://dns.example/dns-query?x", "has a query, which means nothing here"),
        ("https://", "name is empty"),
        ("https://dns.example/a b", "holds spaces"),
        ("udp://[::1", "is not a resolver"),
    ],
)
def test_what_is_said(text: str, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        upstream(text)
    assert message in str(caught.value)


@given(st.text(max_size=40) | st.from_regex(r"(udp|tls|https)://[^ ]{0,30}"))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Unreadable):
        assert 1 <= upstream(text).port <= 65535


def test_an_address_and_the_name_of_its_certificate() -> None:
    found = upstream("https://192.0.2.53:8443/q#dns.example")
    assert found == Upstream(
        "https://192.0.2.53:8443/q#dns.example", Transport.HTTPS, "192.0.2.53", 8443, tls_name="dns.example", path="/q"
    )
    assert upstream("https://[2001:db8::53]/q#dns.example").host == "2001:db8::53"
    with pytest.raises(Unreadable, match="names its resolver twice"):
        upstream("https://dns.example/q#other.example")
