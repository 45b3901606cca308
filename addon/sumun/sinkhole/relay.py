"""A question on its way to an upstream, and the answer on its way back.

Octets pass as they came, but for what RFC 6891 gives to each hop (the OPT record), the id, the spelling of the
question, and times to live that policy shortens.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from dns.rdatatype import RdataType

from sumun.model.name import DomainName
from sumun.sinkhole.answers import UDP_PAYLOAD, Explanation, cookie_option, opt_record
from sumun.sinkhole.padding import padded
from sumun.sinkhole.question import Echo, Question
from sumun.upstream.message import HEADER, TC, MalformedMessage, Record, labels_at, question_end, records

_PASSED_ON: Final = 0x0130
"""RD, AD and CD: what the client wants done."""
_MAX_TARGETS = 32
"""Names judged in one answer; resolvers give up after 8 to 17 links of a chain."""
_TARGET_AT: Final[dict[int, int]] = {RdataType.CNAME: 0, RdataType.DNAME: 0, RdataType.SVCB: 2, RdataType.HTTPS: 2}
"""Offset of the target name in the record data of types that lead elsewhere."""


def upstream_query(echo: Echo) -> bytes:
    """The question as an upstream gets it; EDNS options stay here: cookies and client subnets are for one hop."""
    opt = b""
    if echo.edns:
        opt = b"\x00" + struct.pack("!HHIH", RdataType.OPT, UDP_PAYLOAD, echo.edns.dnssec_ok << 15, 0)
    return struct.pack("!HHHHHH", 0, echo.flags & _PASSED_ON, 1, 0, 0, bool(opt)) + echo.question + opt


def targets(reply: bytes) -> list[DomainName]:
    """Every name that the answer section leads to, once each; raises MalformedMessage, also when there are too many."""
    found: dict[DomainName, None] = {}
    for record in records(reply):
        for offset in _names(record):
            found[DomainName.from_labels(labels_at(reply, offset))] = None
        if len(found) > _MAX_TARGETS:
            raise MalformedMessage("answer leads to more names than a chain may have")
    return list(found)


def _names(record: Record) -> Iterator[int]:
    if record.section == 1:
        yield record.start
        if record.type in _TARGET_AT:
            yield record.data + _TARGET_AT[record.type]


def relayed(
    reply: bytes, question: Question, *, longest_ttl: int | None, size: int, explanation: Explanation | None = None
) -> bytes:
    """The upstream's answer as this client gets it, after the id; raises MalformedMessage.

    ``longest_ttl`` in seconds, None: as the upstream said; ``size`` in octets. An answer that does not fit is cut
    down to its header with TC set, so that the client asks again over TCP.
    """
    echo, found = question.echo, list(records(reply))
    if found and found[-1].end != len(reply):
        raise MalformedMessage("octets follow the last record")
    out = bytearray(reply)
    out[HEADER : question_end(reply)] = echo.question
    for record in found:
        if record.type != RdataType.OPT and longest_ttl is not None:
            _shorten(out, record.fields + 4, longest_ttl)
    _replace_opt(out, _opt_of(found), echo, explanation)
    if len(out) > size:
        return _truncated(reply, echo)
    return padded(bytes(out))[2:] if echo.edns and echo.edns.padded else bytes(out[2:])


def _shorten(out: bytearray, offset: int, longest: int) -> None:
    ttl = int.from_bytes(out[offset : offset + 4])
    out[offset : offset + 4] = min(ttl, longest).to_bytes(4)


def _opt_of(found: list[Record]) -> Record | None:
    opts = [record for record in found if record.type == RdataType.OPT]
    if len(opts) > 1 or any(record.section != 3 for record in opts):
        raise MalformedMessage("more than one OPT record, or one out of its place")
    return opts[0] if opts else None


def _replace_opt(out: bytearray, opt: Record | None, echo: Echo, explanation: Explanation | None) -> None:
    """Speak EDNS to clients that do, and to no others; an explanation of ours takes the place of the upstream's."""
    if explanation and opt and opt.end == len(out):
        del out[opt.start :]
        _count_additional(out, -1)
        opt = None
    if echo.edns and opt:
        payload, length = opt.fields + 2, opt.fields + 8
        out[payload : payload + 2] = UDP_PAYLOAD.to_bytes(2)
        cookie = cookie_option(echo)
        if cookie and opt.end == len(out):
            out += cookie
            out[length : length + 2] = (opt.end - opt.data + len(cookie)).to_bytes(2)
    elif echo.edns:
        out += opt_record(echo, explanation=explanation)
        _count_additional(out, 1)
    elif opt and opt.end == len(out):  # elsewhere the records behind it could be pointed into: let it stand
        del out[opt.start :]
        _count_additional(out, -1)


def _count_additional(out: bytearray, change: int) -> None:
    out[10:12] = (int.from_bytes(out[10:12]) + change).to_bytes(2)


def _truncated(reply: bytes, echo: Echo) -> bytes:
    flags = int.from_bytes(reply[2:4])
    return struct.pack("!HHHHH", flags | TC, 1, 0, 0, bool(echo.edns)) + echo.question + opt_record(echo)
