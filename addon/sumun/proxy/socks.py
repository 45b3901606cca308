"""SOCKS version 5 as far as a proxy for TCP needs it (RFC 1928). Pure: bytes in, meaning out, as in ``opening``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

from sumun.model.name import DomainName, InvalidName, IPAddress, plain
from sumun.proxy.destination import Destination
from sumun.proxy.opening import Unreadable, web_host

VERSION = 5
CHOSEN = bytes((VERSION, 0))
"""No authentication: the client's address says who it is."""
NAME_AND_PASSWORD = bytes((VERSION, 2))
NO_METHOD = bytes((VERSION, 0xFF))


class Reply(IntEnum):
    """What became of the request (RFC 1928, 6)."""

    SUCCEEDED = 0
    FAILED = 1
    NOT_ALLOWED = 2
    UNREACHABLE = 4
    NO_SUCH_COMMAND = 7
    NO_SUCH_ADDRESS = 8

    @property
    def octets(self) -> bytes:
        """The reply; the address bound, which nobody uses, is left unspecified."""
        return bytes((VERSION, self, 0, 1, 0, 0, 0, 0, 0, 0))


class Unanswerable(Unreadable):
    """A request that makes sense and is not served."""

    def __init__(self, reply: Reply, why: str) -> None:
        super().__init__(why)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Greeting:
    """The methods a client offers."""

    anonymous: bool
    named: bool
    """Name and password (RFC 1929)."""
    size: int
    """Octets that it took."""


@dataclass(frozen=True, slots=True)
class Request:
    """Where a client wants to be connected to."""

    destination: Destination
    size: int


def greeting(data: bytes) -> Greeting | None:
    """Read the first message; None: more is needed."""
    if len(data) < 2 or len(data) < (size := 2 + data[1]):
        return None
    return Greeting(0 in data[2:size], 2 in data[2:size], size)


def request(data: bytes) -> Request | None:
    """Read the second message; raises Unreadable, or Unanswerable with what to reply."""
    if len(data) < 5:
        return None
    if data[0] != VERSION or data[2] != 0:
        raise Unreadable("the SOCKS request is malformed")
    lengths = {1: 4, 3: 1 + data[4], 4: 16}
    if data[3] not in lengths:
        raise Unanswerable(Reply.NO_SUCH_ADDRESS, "the SOCKS request has an address of unknown type")
    end = 4 + lengths[data[3]]
    if len(data) < end + 2:
        return None
    if data[1] != 1:
        raise Unanswerable(Reply.NO_SUCH_COMMAND, "only CONNECT is served of SOCKS")
    port = int.from_bytes(data[end : end + 2])
    if port == 0:
        raise Unreadable("`0` is no port")
    return Request(Destination(_host(data[3], data[4:end]), port), end + 2)


def _host(type_: int, octets: bytes) -> DomainName | IPAddress:
    if type_ == 1:
        return IPv4Address(octets)
    if type_ == 4:
        return plain(IPv6Address(octets))
    try:
        text = octets[1:].decode()
        return web_host(f"[{text}]" if ":" in text else text)
    except (InvalidName, UnicodeDecodeError) as error:
        raise Unreadable(str(error)) from None
