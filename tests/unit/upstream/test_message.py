from __future__ import annotations

import re
import struct
from collections.abc import Iterator

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.upstream.message import (
    HEADER,
    MalformedMessage,
    answers_question,
    flags_of,
    in_mixed_case,
    labels_at,
    question_end,
    records,
)
from tests.support.lies import bad_answers, other_answers

QUERY = dns.message.make_query("www.example.test", "HTTPS", id=0x4242).to_wire()


def reply_wire(*lines: str, query: bytes = QUERY) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(query))
    for line in lines:
        name, type_, data = line.split(maxsplit=2)
        message.answer.append(dns.rrset.from_text(name, 60, "IN", type_, data))
    return message.to_wire()


def test_an_answer_is_known_by_id_question_and_qr() -> None:
    reply = reply_wire()
    upper = reply[:12] + reply[12:29].upper() + reply[29:]
    assert answers_question(reply, QUERY)
    assert answers_question(upper, QUERY)


HONEST = reply_wire()
LIES = {
    "another id": b"\x42\x43" + HONEST[2:],
    "another name": HONEST.replace(b"www", b"wwx"),
    "another type": HONEST[:30] + b"\0\x61" + HONEST[32:],  # differs from HTTPS, 65, as a letter does in case
    "another class": HONEST[:-1] + b"\3",
    "a query": HONEST[:2] + b"\1\0" + HONEST[4:],
    "another opcode": HONEST[:2] + b"\xa1\0" + HONEST[4:],
    "no question": HONEST[:4] + bytes(8),
    "two questions": HONEST[:4] + b"\0\2" + HONEST[6:] + HONEST[12:],
    "only an id": HONEST[:2],
    "nothing": b"",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_no_answer(lie: str) -> None:
    assert LIES[lie] != HONEST
    assert not answers_question(LIES[lie], QUERY)


def test_records_are_found_where_dnspython_put_them() -> None:
    wire = reply_wire("www.example.test. CNAME a.b.example.test.", "a.b.example.test. TXT hello")
    cname, txt = records(wire)
    assert (cname.section, cname.type, txt.type) == (1, dns.rdatatype.CNAME, dns.rdatatype.TXT)
    assert labels_at(wire, cname.data) == [b"a", b"b", b"example", b"test"]
    assert labels_at(wire, txt.start) == [b"a", b"b", b"example", b"test"]
    assert wire[txt.data : txt.end] == b"\5hello"
    assert txt.end == len(wire)


@pytest.mark.parametrize(
    "name", [b"\xc0\x0c", b"\x01a\xc0\x0c", b"\xc0\x20", b"\x3f", b"\x80a\0", b"\xc0", b"\x01a", b"\xc0\x00"]
)
def test_names_that_loop_or_do_not_end_are_malformed(name: bytes) -> None:
    with pytest.raises(MalformedMessage):
        labels_at(QUERY[:12] + name, 12)


def test_pointers_that_point_back_and_forth_are_malformed() -> None:
    octets = QUERY[:12] + b"\xc0\x0e" + b"\xc0\x0c" + b"\xc0\x0c"
    with pytest.raises(MalformedMessage, match="does not point back"):
        labels_at(octets, 16)


def test_flags_need_a_header() -> None:
    assert flags_of(QUERY) == 0x0100
    with pytest.raises(MalformedMessage):
        flags_of(QUERY[:11])


@given(st.binary(max_size=200), st.lists(st.integers(0, 6), min_size=3, max_size=3))
def test_any_octets_are_read_or_malformed(tail: bytes, counts: list[int]) -> None:
    wire = QUERY[:6] + struct.pack("!HHH", *counts) + QUERY[12 : question_end(QUERY)] + tail
    try:
        found = list(records(wire))
        assert len(found) == sum(counts)
        for record in found:
            labels_at(wire, record.start)
    except MalformedMessage:
        return
    assert all(record.end <= len(wire) for record in found)


@given(
    st.integers(0, 2**2040), st.sampled_from(["www.example.test", "x", ".", "a-1.example.test", "_dns.resolver.arpa"])
)
def test_a_mixed_spelling_is_the_same_question(coins: int, name: str) -> None:
    query = dns.message.make_query(name, "A", use_edns=0).to_wire()
    mixed = in_mixed_case(query, coins)
    assert answers_question(mixed[:2] + b"\x81\x80" + mixed[4:], query)
    assert answers_question(query[:2] + b"\x81\x80" + query[4:], mixed, as_spelled=True) is (mixed == query)
    assert dns.message.from_wire(mixed).question == dns.message.from_wire(query).question


def lies() -> st.SearchStrategy[bytes]:
    """Answers of the corpus, and such with octets changed behind the question."""
    corpus = [lie for make in (bad_answers, other_answers) for lie in make(QUERY)]
    end = question_end(QUERY)

    def spoilt(wire: bytes, edits: list[tuple[int, int]]) -> bytes:
        out = bytearray(wire)
        for place, octet in edits:
            if len(out) > end:
                out[end + place % (len(out) - end)] = octet
        return bytes(out)

    edits = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)
    return st.builds(spoilt, st.sampled_from(corpus), edits)


def _read(wire: bytes) -> Iterator[tuple[int, str, int, int]]:
    for found in records(wire):
        ttl = int.from_bytes(wire[found.fields + 4 : found.fields + 8])
        owner = dns.name.Name([*labels_at(wire, found.start), b""]).to_text()
        if found.type not in (dns.rdatatype.OPT, dns.rdatatype.TSIG):
            yield found.section, owner, found.type, ttl if ttl < 1 << 31 else 0


@settings(max_examples=400)
@given(lies())
def test_what_the_general_parser_reads_is_read_alike(wire: bytes) -> None:
    """The oracle is dnspython: the same records, with the same owners, targets, types and times, in the same sections.

    It refuses more (record data it knows and finds wrong), which a forwarder passes on as it came (RFC 5625).
    """
    try:
        message = dns.message.from_wire(wire, one_rr_per_rrset=True, keyring=False)
    except Exception:  # noqa: BLE001 - whatever it says, it could not read it
        return
    if len(message.question) != 1 or wire[12] >= 0xC0:
        return
    theirs = [
        (section, rrset.name.to_text(), int(rrset.rdtype), rrset.ttl)
        for section, rrsets in enumerate((message.answer, message.authority, message.additional), start=1)
        for rrset in rrsets
    ]
    try:
        ours = list(_read(wire))
    except MalformedMessage:
        assert re.search(rb"\xc0[\0-\x0b]", wire[HEADER:]), "refused, though no name points into the header"
        return
    assert sorted(ours) == sorted(theirs)
    targets_ = [
        dns.name.Name([*labels_at(wire, found.data), b""])
        for found in records(wire)
        if found.section == 1 and found.type == dns.rdatatype.CNAME
    ]
    assert targets_ == [r[0].target for r in message.answer if r.rdtype == dns.rdatatype.CNAME]
