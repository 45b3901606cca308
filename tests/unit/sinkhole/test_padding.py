"""Answers in blocks."""

from __future__ import annotations

from ipaddress import ip_address

import dns.edns
import dns.message
import pytest

from sumun.sinkhole.outcome import Answer, Protocol
from sumun.sinkhole.padding import BLOCK, padded
from tests.support.builders import NOON, three_segments
from tests.unit.sinkhole.asking import query, responder

PADDING = dns.edns.GenericOption(dns.edns.OptionType.PADDING, bytes(40))


@pytest.mark.parametrize("names", [1, 12, 40])
def test_a_message_grows_to_a_whole_number_of_blocks(names: int) -> None:
    message = dns.message.make_response(dns.message.make_query("x.example.test", "TXT", use_edns=0))
    message.answer.append(dns.rrset.from_text("x.example.test.", 60, "IN", "TXT", *(f"{n:030}" for n in range(names))))
    grown = padded(message.to_wire(max_size=65_535))
    assert len(grown) % BLOCK == 0
    assert len(grown) - len(message.to_wire(max_size=65_535)) < BLOCK + 4
    assert dns.message.from_wire(grown).answer == message.answer


@pytest.mark.parametrize(
    "wire", [b"", bytes(12), query("www.example.test", id=7), query("www.example.test", id=7, use_edns=0)[:-1]]
)
def test_without_a_place_for_it_a_message_stays_as_it_is(wire: bytes) -> None:
    assert padded(wire) == wire


@pytest.mark.parametrize(("protocol", "encrypted"), [("udp", False), ("tcp", False), ("dot", True), ("doh", True)])
def test_answers_are_padded_where_that_hides_something(protocol: Protocol, encrypted: bool) -> None:
    policy = three_segments()
    it = responder(policy)
    wire, client = query("chat.deepseek.com", use_edns=0, options=[PADDING]), ip_address("127.0.0.3")
    for _ in range(2):  # the second is a ready one
        answer = it.ready(wire, client, protocol, at=NOON) or it.on_query(wire, client, protocol, at=NOON)
        assert isinstance(answer, Answer)
        assert ((len(answer.body) + 2) % BLOCK == 0) is encrypted
        options = dns.message.from_wire(wire[:2] + answer.body).options
        assert any(option.otype == dns.edns.OptionType.PADDING for option in options) is encrypted
    assert it.ready(wire, client, protocol, at=NOON)
