"""Answers that the sinkhole gives itself, as octets after the message id.

The authority bit stays clear: a policy answer of a forwarder speaks for no zone. The flags RD and CD and the
question are the client's own; AD is never set, for nothing here is signed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from dns.rcode import Rcode
from dns.rdatatype import RdataType

from sumun.model.name import IPAddress
from sumun.model.verdict import Verdict
from sumun.sinkhole.question import Echo, Question

UDP_PAYLOAD = 1232
"""Octets that pass without fragments nearly everywhere (DNS flag day 2020)."""

_QR, _RD, _RA, _CD, _OPCODE = 0x8000, 0x0100, 0x0080, 0x0010, 0x7800
_MAX_EXPLANATION = 120
"""Octets; keeps every answer of ours below the 512 that any client takes over UDP."""
_ZONE = b"\x08sinkhole\x05sumun\x07invalid\x00"
_SOA_NAMES = _ZONE + b"\x0ahostmaster" + _ZONE


@dataclass(frozen=True, slots=True)
class Explanation:
    """An extended DNS error (RFC 8914), shown to clients that speak EDNS."""

    code: int
    text: str = ""
    tells_incident: bool = False
    """Whether the text keeps a place for the id of the event (``NO_ID``)."""
    structured: bool = False
    """Whether software reads the text, which must then be whole."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """What A and AAAA of a name that we answer give; None: no data."""

    v4: bytes | None
    v6: bytes | None

    @classmethod
    def of(cls, addresses: Sequence[IPAddress]) -> Self:
        """Each under the type of its family."""
        families = {address.version: address.packed for address in reversed(addresses)}
        return cls(families.get(4), families.get(6))

    def of_type(self, type_: int) -> bytes | None:
        """Record data for this query type."""
        return self.v4 if type_ == RdataType.A else self.v6 if type_ == RdataType.AAAA else None


NULL = Addresses(bytes(4), bytes(16))
NOWHERE = Addresses(None, None)


def blocked(
    question: Question, verdict: Verdict, pages: Addresses, ttl: int, explanation: Explanation | None
) -> tuple[Rcode, bytes]:
    """One shape for every query type: an address where the verdict has one, else a negative answer with SOA."""
    match verdict:
        case Verdict.REFUSED:
            return Rcode.REFUSED, message(question.echo, Rcode.REFUSED, explanation=explanation)
        case Verdict.NXDOMAIN:
            return Rcode.NXDOMAIN, _negative(question.echo, Rcode.NXDOMAIN, ttl, explanation)
        case Verdict.SINKHOLED | Verdict.STEERED:
            addresses = pages
        case Verdict.NULL:
            addresses = NULL
        case _:
            addresses = NOWHERE
    return Rcode.NOERROR, positive(question, addresses, ttl, explanation)


def positive(question: Question, addresses: Addresses, ttl: int, explanation: Explanation | None = None) -> bytes:
    """An address of the family asked for, or no data."""
    data = addresses.of_type(question.type)
    return records(question, [] if data is None else [data], ttl, explanation)


def records(question: Question, data: Sequence[bytes], ttl: int, explanation: Explanation | None = None) -> bytes:
    """A record of the type asked for with each of the data, or no data."""
    if not data:
        return _negative(question.echo, Rcode.NOERROR, ttl, explanation)
    found = [_record(question.type, ttl, each) for each in data]
    return message(question.echo, Rcode.NOERROR, answers=found, explanation=explanation)


def message(
    echo: Echo,
    rcode: Rcode,
    *,
    answers: Sequence[bytes] = (),
    authority: Sequence[bytes] = (),
    explanation: Explanation | None = None,
    more_flags: int = 0,
) -> bytes:
    """Put a message together, without its id; an OPT record goes to whoever sent one."""
    flags = _QR | _RA | (echo.flags & (_OPCODE | _RD | _CD)) | (rcode & 0xF) | more_flags
    opt = opt_record(echo, rcode, explanation)
    counts = struct.pack("!HHHHH", flags, bool(echo.question), len(answers), len(authority), bool(opt))
    return b"".join((counts, echo.question, *answers, *authority, opt))


def udp_size(echo: Echo) -> int:
    """Octets that an answer over UDP may have: what the client takes, within what passes unfragmented."""
    return max(512, min(echo.edns.payload, UDP_PAYLOAD)) if echo.edns else 512


def opt_record(echo: Echo, rcode: int = 0, explanation: Explanation | None = None) -> bytes:
    """The OPT record of an answer; empty for a client that sent none. The DO bit is the client's (RFC 3225)."""
    if echo.edns is None:
        return b""
    option = cookie_option(echo)
    if explanation:
        text = explanation.text.encode()
        if not explanation.structured:
            text = text[:_MAX_EXPLANATION].decode(errors="ignore").encode()
        option += struct.pack("!HHH", 15, 2 + len(text), explanation.code) + text
    flags = (rcode >> 4) << 24 | echo.edns.dnssec_ok << 15
    return b"\x00" + struct.pack("!HHIH", RdataType.OPT, UDP_PAYLOAD, flags, len(option)) + option


def cookie_option(echo: Echo) -> bytes:
    """The cookie that goes back to the client; empty for a client that sent none."""
    cookie = echo.edns.cookie if echo.edns else b""
    return struct.pack("!HH", 10, len(cookie)) + cookie if cookie else b""


def _negative(echo: Echo, rcode: Rcode, ttl: int, explanation: Explanation | None) -> bytes:
    """No such name, or no such data, with the SOA that lets it be cached for ``ttl`` seconds (RFC 2308)."""
    return message(echo, rcode, authority=[_soa(echo, ttl)], explanation=explanation)


def _soa(echo: Echo, ttl: int) -> bytes:
    """A zone cut at the very name asked for, so that nothing is claimed about its neighbours."""
    return _record(RdataType.SOA, ttl, _SOA_NAMES + struct.pack("!IIIII", 1, 3600, 600, 86400, ttl))


def _record(type_: int, ttl: int, data: bytes) -> bytes:
    """A record owned by the name of the question, which stands right after the header."""
    return b"\xc0\x0c" + struct.pack("!HHIH", type_, 1, ttl, len(data)) + data
