"""The octets of a query, read once: what is asked, or what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rdataclass
from dns.edns import CookieOption, EDEOption
from dns.rcode import Rcode

from sumun.model.name import DomainName
from sumun.upstream.message import HEADER, QR, flags_of

_OPCODE: Final = 0x7800
_DNSSEC_OK: Final = 0x8000
_NO_LABEL: Final = 64


@dataclass(frozen=True, slots=True)
class Edns:
    """What the client's OPT record says (RFC 6891)."""

    payload: int
    """Octets of UDP payload that the client takes."""
    dnssec_ok: bool
    cookie: bytes = b""
    """The client's cookie as it came; in an echo, what goes back (RFC 7873). Empty: none."""
    reads_errors: bool = False
    """Whether software of the client reads extended errors: it sent the option (RFC 8914) itself."""


@dataclass(frozen=True, slots=True)
class Echo:
    """What every answer gives back to the client."""

    flags: int
    """As in the query."""
    question: bytes = b""
    """Name, type and class in the client's own spelling; empty where they could not be read."""
    edns: Edns | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One well-formed question of class IN."""

    echo: Echo
    name: DomainName
    type: int
    repeats: bool = True
    """Whether the same octets may come again: EDNS options such as cookies differ from query to query."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A query that nobody will answer, and the code that says why."""

    echo: Echo
    rcode: Rcode


def read(wire: bytes) -> Question | Fault | None:
    """Read a query; None: nothing that deserves an answer (no header, or itself an answer)."""
    if len(wire) < HEADER or flags_of(wire) & QR:
        return None
    return plain_question(wire) or parsed(wire)


def name_in(wire: bytes) -> DomainName:
    """The name in the question of a message of ours."""
    offset, places = HEADER, []
    while length := wire[offset]:
        places.append(offset - HEADER)
        offset += length + 1
    return DomainName.from_wire(wire[HEADER : offset + 1], places)


def plain_question(wire: bytes) -> Question | None:
    """A question in the shape that nearly all have: alone, or with an OPT record without options.

    Reading it takes a twentieth of what the general parser takes. None: let that one look; INVARIANT: what is read
    here, ``parsed`` reads alike.
    """
    offset, places = HEADER, []
    if flags_of(wire) & _OPCODE or wire[4:10] != b"\x00\x01\x00\x00\x00\x00":
        return None
    while length := wire[offset] if offset < len(wire) else _NO_LABEL:
        if length > 63:
            return None
        places.append(offset - HEADER)
        offset += length + 1
    end = offset + 5
    if end > 255 + HEADER + 4 or wire[offset + 3 : end] != b"\x00\x01":
        return None
    edns = None
    if (more := wire[10:12] + wire[end:]) != b"\x00\x00":
        if more[:5] != b"\x00\x01\x00\x00\x29" or more[8:9] != b"\x00" or more[11:] != b"\x00\x00":
            return None
        edns = Edns(int.from_bytes(more[5:7]), bool(more[9] & 0x80))
    echo = Echo(flags_of(wire), wire[HEADER:end], edns)
    name = DomainName.from_wire(wire[HEADER : offset + 1], places)
    return Question(echo, name, int.from_bytes(wire[offset + 1 : offset + 3]))


def parsed(wire: bytes) -> Question | Fault:
    """Any query with a header, as the general parser reads it."""
    flags = flags_of(wire)
    refusal = Rcode.NOTIMP if flags & _OPCODE else Rcode.FORMERR
    try:
        message = dns.message.from_wire(wire, keyring=False)
    except Exception:  # noqa: BLE001 - whatever a hostile packet does to the parser, the packet is at fault
        return Fault(Echo(flags), refusal)
    echo = Echo(flags, edns=_edns(message))
    if flags & _OPCODE:
        return Fault(echo, refusal)
    if message.edns > 0:
        return Fault(echo, Rcode.BADVERS)
    if len(message.question) != 1:
        return Fault(echo, Rcode.FORMERR)  # RFC 9619
    return _question(message, echo)


def _edns(message: dns.message.Message) -> Edns | None:
    if message.edns < 0:
        return None
    cookies = (
        bytes(option.client) + bytes(option.server) for option in message.options if isinstance(option, CookieOption)
    )
    reads_errors = any(isinstance(option, EDEOption) for option in message.options)
    return Edns(message.payload, bool(message.ednsflags & _DNSSEC_OK), next(cookies, b""), reads_errors)


def _question(message: dns.message.Message, echo: Echo) -> Question | Fault:
    asked = message.question[0]
    wire = asked.name.to_wire() or b""
    question = wire + asked.rdtype.to_bytes(2) + asked.rdclass.to_bytes(2)
    echo = Echo(echo.flags, question, echo.edns)
    if asked.rdclass != dns.rdataclass.IN:
        return Fault(echo, Rcode.REFUSED)  # `version.bind` and the like say nothing of us
    if message.had_tsig:
        return Fault(echo, Rcode.NOTAUTH)  # RFC 8945, 5.2: no key is known here
    return Question(echo, DomainName.from_labels(asked.name.labels[:-1]), asked.rdtype, not message.options)
