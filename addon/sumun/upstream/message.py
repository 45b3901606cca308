"""Just enough of RFC 1035 to match an answer to its question and to relay it unchanged.

What is not named here passes as it came (RFC 5625, section 3: unknown types and flags are nobody's business but
the client's), which re-encoding through a parsed message could not promise.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = 12
"""Octets before the question."""
QR, TC = 0x8000, 0x0200
_POINTER = 0xC0
_MAX_POINTERS = 126
"""Of one name: as many as it can have labels."""


class MalformedMessage(ValueError):
    """An octet string that is no DNS message; its message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Record:
    """Where a resource record lies in its message; offsets are octets from the message's start."""

    section: int
    """1 answer, 2 authority, 3 additional."""
    start: int
    type: int
    fields: int
    """Offset of type, class, TTL and length, ten octets."""
    data: int
    end: int


def flags_of(wire: bytes) -> int:
    """The 16 flag bits; raises MalformedMessage if there is no whole header."""
    if len(wire) < HEADER:
        raise MalformedMessage("message is shorter than its header")
    return int.from_bytes(wire[2:4])


def question_end(wire: bytes) -> int:
    """Offset after the one question, whose name stands uncompressed; raises MalformedMessage."""
    if len(wire) < HEADER or wire[4:6] != b"\x00\x01":
        raise MalformedMessage("message has not exactly one question")
    offset = HEADER
    while offset < len(wire) and wire[offset]:
        if wire[offset] >= 64:
            raise MalformedMessage("name of the question is compressed")
        offset += wire[offset] + 1
    if offset + 5 > len(wire):
        raise MalformedMessage("question is incomplete")
    return offset + 5


def answers_question(reply: bytes, query: bytes, *, as_spelled: bool = False) -> bool:
    """Whether the reply has the query's id and question; case in names counts only where asked (RFC 4343)."""
    try:
        end = question_end(query)
        if as_spelled and reply[HEADER:end] != query[HEADER:end]:
            return False
        return (
            reply[:2] == query[:2]
            and bool(flags_of(reply) & QR)
            and not flags_of(reply) & 0x7800
            and question_end(reply) == end
            and reply[HEADER : end - 4].lower() == query[HEADER : end - 4].lower()
            and reply[end - 4 : end] == query[end - 4 : end]
        )
    except MalformedMessage:
        return False


def in_mixed_case(query: bytes, coins: int) -> bytes:
    """The query with each letter of its name in upper or lower case, by the bits of ``coins``.

    An honest answer repeats the spelling, which adds a bit for each letter to what a forger must guess
    (draft-vixie-dnsext-dns0x20-00).
    """
    end, out = question_end(query) - 4, bytearray(query)
    offset = HEADER
    while length := out[offset]:
        for place in range(offset + 1, offset + 1 + length):
            coins, coin = coins >> 1, coins & 1
            if chr(out[place]).isascii() and chr(out[place]).isalpha():
                out[place] = out[place] | 0x20 if coin else out[place] & 0xDF
        offset += length + 1
    assert offset < end  # noqa: S101 - what ``question_end`` has walked
    return bytes(out)


def records(wire: bytes) -> Iterator[Record]:
    """All records after the one question, in order; raises MalformedMessage."""
    offset = question_end(wire)
    for section, count in enumerate(struct.unpack_from("!HHH", wire, 6), start=1):
        for _ in range(count):
            record = _record(wire, section, offset)
            yield record
            offset = record.end


def labels_at(wire: bytes, offset: int) -> list[bytes]:
    """The labels of the name at this offset; raises MalformedMessage.

    A pointer must point before the labels it continues, so every name ends (RFC 1035, 4.1.4: "a prior occurrence");
    and soon, since a message has room for thousands of pointers, and thousands of records that begin with the last.
    """
    labels: list[bytes] = []
    limit, pointers = offset, 0
    while (length := _octet(wire, offset)) != 0:
        if length >= _POINTER:
            offset = (length & 0x3F) << 8 | _octet(wire, offset + 1)
            if not HEADER <= offset < limit:
                raise MalformedMessage("compression pointer does not point back")
            limit, pointers = offset, pointers + 1
            if pointers > _MAX_POINTERS:
                raise MalformedMessage("name goes through too many compression pointers")
        elif length >= 64 or len(labels) > 127:
            raise MalformedMessage("name is longer than 255 octets, or has a label of unknown kind")
        else:
            labels.append(wire[offset + 1 : offset + 1 + length])
            offset += length + 1
    return labels


def _record(wire: bytes, section: int, start: int) -> Record:
    fields = name_end(wire, start)
    if fields + 10 > len(wire):
        raise MalformedMessage("record is incomplete")
    type_, _, _, length = struct.unpack_from("!HHIH", wire, fields)
    data = fields + 10
    if data + length > len(wire):
        raise MalformedMessage("data of a record are incomplete")
    return Record(section, start, type_, fields, data, data + length)


def name_end(wire: bytes, offset: int) -> int:
    """Offset after the name at this offset, which may end in a pointer; raises MalformedMessage."""
    while (length := _octet(wire, offset)) != 0:
        if length >= _POINTER:
            return offset + 2
        if length >= 64:
            raise MalformedMessage("label of unknown kind")
        offset += length + 1
    return offset + 1


def _octet(wire: bytes, offset: int) -> int:
    if offset >= len(wire):
        raise MalformedMessage("name is incomplete")
    return wire[offset]
