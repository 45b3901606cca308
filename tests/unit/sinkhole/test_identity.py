"""Whose query it is: only what listed forwarders say counts, and what they say is taken off."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import dns.edns
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config.settings import ClientSubnet
from sumun.model.parents import SIGNATURE
from sumun.sinkhole.identity import Identity, Introduced, without_subnet
from tests.unit.sinkhole.asking import query

FORWARDER, STRANGER, CLIENT = map(ip_address, ("192.0.2.53", "192.0.2.99", "10.20.0.7"))
IT = Identity((ip_network("192.0.2.53/32"),))


def with_subnet(address: str, prefix: int, *more: dns.edns.Option) -> bytes:
    return query("www.example.test", id=7, use_edns=0, options=[dns.edns.ECSOption(address, prefix), *more])


def datagram(wire: bytes, client: str = "10.20.0.7", command: int = 1) -> bytes:
    body = ip_address(client).packed + ip_address("192.0.2.1").packed + b"\x30\x39\0\x35"
    return SIGNATURE + bytes((0x20 | command, 0x12)) + len(body).to_bytes(2) + body + wire


def test_a_query_without_introduction_is_the_peers_own() -> None:
    wire = query("www.example.test", use_edns=0)
    assert IT.of(wire, FORWARDER) == Introduced(wire, FORWARDER)
    assert IT.of(wire, STRANGER) == Introduced(wire, STRANGER)


@pytest.mark.parametrize(("client", "prefix"), [("10.20.0.7", 32), ("2001:db8::7", 128), ("::ffff:10.20.0.7", 128)])
def test_a_subnet_of_one_address_is_the_client(client: str, prefix: int) -> None:
    found = IT.of(with_subnet(client, prefix), FORWARDER)
    assert found
    assert str(found.client) == client.removeprefix("::ffff:")
    assert found.wire == query("www.example.test", id=7, use_edns=0)  # so it is answered like any other


def test_other_options_stay() -> None:
    cookie = dns.edns.CookieOption(b"12345678", b"")
    left = dns.message.from_wire(without_subnet(with_subnet("10.20.0.7", 32, cookie)))
    assert list(left.options) == [cookie]


@pytest.mark.parametrize("prefix", [24, 31, 0])
def test_a_wider_subnet_is_nobody(prefix: int) -> None:
    wire = with_subnet("10.20.0.0", prefix)
    assert IT.of(wire, FORWARDER) == Introduced(wire, FORWARDER)
    assert not IT.claims(wire, STRANGER)


def test_how_wide_it_may_be_is_configured() -> None:
    it = Identity(IT.trusted, ClientSubnet(24, 56))
    found = it.of(with_subnet("10.20.0.0", 24), FORWARDER)
    assert found
    assert str(found.client) == "10.20.0.0"


def test_others_are_not_believed_but_noticed() -> None:
    wire = with_subnet("10.20.0.7", 32)
    assert IT.of(wire, STRANGER) == Introduced(wire, STRANGER)
    assert IT.claims(wire, STRANGER)
    assert not IT.claims(with_subnet(str(STRANGER), 32), STRANGER)  # who tells of himself hides nothing
    assert IT.of(datagram(wire), STRANGER) is None
    assert Identity().of(datagram(wire), FORWARDER) is None


def test_a_proxy_header_is_taken_off() -> None:
    wire = query("www.example.test", use_edns=0)
    assert IT.of(datagram(wire), FORWARDER) == Introduced(wire, CLIENT)
    assert IT.of(datagram(wire, command=0), FORWARDER) == Introduced(wire, FORWARDER)  # its own check of health
    assert IT.of(datagram(with_subnet("10.9.9.9", 32)), FORWARDER) == Introduced(with_subnet("10.9.9.9", 32), CLIENT)


@pytest.mark.parametrize("cut", range(1, 28))
def test_half_a_header_is_nothing(cut: int) -> None:
    assert IT.of(datagram(b"")[:-cut], FORWARDER) is None or cut > 16


@given(st.binary(max_size=80), st.integers(0, 120), st.binary(max_size=60))
def test_whatever_comes_is_borne(tail: bytes, cut: int, head: bytes) -> None:
    for wire in (with_subnet("10.20.0.7", 32)[:cut] + tail, head + tail, SIGNATURE + tail):
        found = IT.of(wire, FORWARDER)
        assert found is None or len(found.wire) <= len(wire)
        IT.claims(wire, STRANGER)
