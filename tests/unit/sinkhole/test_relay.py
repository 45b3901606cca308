from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest

from sumun.model.name import DomainName
from sumun.sinkhole.question import Question, read
from sumun.sinkhole.relay import relayed, targets, upstream_query
from sumun.upstream.message import MalformedMessage
from tests.unit.sinkhole.asking import query


def question(name: str = "WWW.example.org", type_: str = "A", **more: object) -> Question:
    found = read(query(name, type_, **more))
    assert isinstance(found, Question)
    return found


def reply(asked: Question, *lines: str, **opt: object) -> bytes:
    """What an upstream says, with the question in lower case."""
    message = dns.message.make_response(dns.message.from_wire(upstream_query(asked.echo)), recursion_available=True)
    message.question[0].name = dns.name.from_text(message.question[0].name.to_text().lower())
    for line in lines:
        name, ttl, type_, data = line.split(maxsplit=3)
        message.answer.append(dns.rrset.from_text(name, int(ttl), "IN", type_, data))
    if opt:
        message.use_edns(0, 0, 4096, options=opt.get("options"))  # type: ignore[arg-type]  # options are EDNS options
    return message.to_wire(max_size=65535)


def read_back(body: bytes) -> dns.message.Message:
    return dns.message.from_wire(b"\0\0" + body)


def test_the_clients_spelling_and_the_upstreams_records_come_back() -> None:
    asked = question()
    message = read_back(relayed(reply(asked, "www.example.org. 60 A 192.0.2.7"), asked, longest_ttl=None, size=512))
    assert message.question[0].name.to_text() == "WWW.example.org."
    assert [str(rrset) for rrset in message.answer] == ["WWW.example.org. 60 IN A 192.0.2.7"]


def test_unknown_types_and_flags_pass_untouched() -> None:
    asked = question(type_="TYPE65280")
    octets = bytearray(reply(asked, "www.example.org. 60 TYPE65280 \\# 3 c00c07"))
    octets[3] |= 0x60  # AD, and the last reserved bit
    assert relayed(bytes(octets), asked, longest_ttl=None, size=65_535)[-3:] == b"\xc0\x0c\x07"
    assert relayed(bytes(octets), asked, longest_ttl=None, size=65_535)[1] & 0x60 == 0x60


@pytest.mark.parametrize("client", [-1, 0])
@pytest.mark.parametrize("upstream", [False, True])
def test_edns_is_spoken_with_those_who_speak_it(client: int, upstream: bool) -> None:
    asked = question(use_edns=client)
    explained = {"options": [dns.edns.EDEOption(dns.edns.EDECode.STALE_ANSWER)]} if upstream else {}
    message = read_back(relayed(reply(asked, **explained), asked, longest_ttl=None, size=512))
    assert message.edns == client
    if client == 0:
        assert message.payload == 1232
        assert len(message.options) == int(upstream)  # the upstream's explanation is kept


def test_an_answer_too_large_for_udp_is_cut_to_its_header() -> None:
    asked = question(type_="TXT", use_edns=0)
    long = reply(asked, *(f"www.example.org. 60 TXT {n}{'x' * 240}" for n in range(6)))
    message = read_back(relayed(long, asked, longest_ttl=None, size=1232))
    assert message.flags & dns.flags.TC
    assert not message.answer
    assert message.edns == 0
    assert len(read_back(relayed(long, asked, longest_ttl=None, size=65_535)).answer[0]) == 6


def test_ttls_are_shortened_and_never_lengthened() -> None:
    asked = question(use_edns=0, want_dnssec=True)
    octets = reply(asked, "www.example.org. 300 CNAME a.example.org.", "a.example.org. 5 A 192.0.2.7", options=[])
    message = read_back(relayed(octets, asked, longest_ttl=30, size=65_535))
    assert [rrset.ttl for rrset in message.answer] == [30, 5]
    assert message.ednsflags == 0  # the "TTL" of an OPT record holds flags, and is the upstream's


def test_targets_are_all_names_that_an_answer_leads_to() -> None:
    asked = question()
    octets = reply(
        asked,
        "www.example.org. 60 CNAME Alias.Example.net.",
        "sub.example.net. 60 DNAME other.example.com.",
        "alias.example.net. 60 HTTPS 1 svc.example.net. alpn=h2",
    )
    found = {str(name) for name in targets(octets)}
    assert found == {
        "www.example.org", "alias.example.net", "sub.example.net", "other.example.com", "svc.example.net",
    }  # fmt: skip
    assert DomainName("www.example.org") in targets(octets)


def test_a_chain_without_end_is_refused() -> None:
    asked = question()
    octets = reply(asked, *(f"n{n}.example.net. 60 CNAME n{n + 1}.example.net." for n in range(40)))
    with pytest.raises(MalformedMessage, match="more names than a chain may have"):
        targets(octets)


OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    "counts", [b"\0\1\0\0\0\0", b"\0\0\0\1\0\0", b"\0\0\0\0\0\2"], ids=["answer", "authority", "two"]
)
def test_an_opt_record_out_of_its_place_is_malformed(counts: bytes) -> None:
    asked = question()
    octets = reply(asked)
    two = OPT * (2 if counts[-1] else 1)
    with pytest.raises(MalformedMessage, match="OPT record"):
        relayed(octets[:6] + counts + octets[12:] + two, asked, longest_ttl=None, size=512)


def test_an_answer_that_fills_a_message_has_no_room_for_more() -> None:
    """The OPT record that is added must not push a TCP message beyond what its length can say."""
    asked = question(type_="TYPE65280", use_edns=0)
    plain = reply(question(type_="TYPE65280"))
    room = 65_535 - len(plain) - 12
    octets = plain[:6] + b"\0\1" + plain[8:] + b"\xc0\x0c\xff\0\0\1\0\0\0\1" + room.to_bytes(2) + bytes(room)
    assert len(octets) == 65_535
    message = read_back(relayed(octets, asked, longest_ttl=None, size=65_535))
    assert message.flags & dns.flags.TC
