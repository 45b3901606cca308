"""What a client says first: a TLS ClientHello, a CONNECT, another HTTP request, or something else.

Pure: bytes in, meaning out. ``None`` asks for more bytes; ``Unreadable`` says that more will not help.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from sumun.model.name import DomainName, InvalidName, IPAddress, parse_host
from sumun.proxy.destination import Destination

LIMIT = 16 * 1024
"""Octets looked at; a ClientHello with a post-quantum key share and a long ticket has less than 4 KiB."""

_METHOD = re.compile(rb"[A-Za-z][A-Za-z_-]{0,31} ")
_METHOD_SO_FAR = re.compile(rb"[A-Za-z][A-Za-z_-]{0,31}")
_REQUEST_LINE = re.compile(rb"CONNECT ([!-~]{1,512}) HTTP/1\.[01]", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[^][]*\]|[^][:@/?#\\]+)(?::([0-9]{1,5}))?", re.ASCII)


class Unreadable(Exception):
    """No more bytes can make sense of this; the message says why."""


class Kind(Enum):
    """Told apart by the first bytes, so that one listener serves all."""

    TLS = auto()
    CONNECT = auto()
    HTTP = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT request (RFC 9110, 9.3.6)."""

    destination: Destination
    size: int
    """Octets that it took."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a ClientHello tells the gate."""

    server_name: DomainName | IPAddress | None
    """None: the extension is absent. (A literal address is against RFC 6066, and some clients send it.)"""


def kind(data: bytes) -> Kind | None:
    """Tell what begins here; the prior-knowledge preface of HTTP/2 is OTHER, for no page can be shown there."""
    if not data:
        return None
    if data[0] == 0x16:
        return None if len(data) < 2 else Kind.TLS if data[1] == 0x03 else Kind.OTHER
    if method := _METHOD.match(data):
        verb = method[0].upper()
        return Kind.CONNECT if verb == b"CONNECT " else Kind.OTHER if verb == b"PRI " else Kind.HTTP
    return None if _METHOD_SO_FAR.fullmatch(data) else Kind.OTHER


def connect(data: bytes) -> Connect | None:
    """Read a CONNECT request; its header fields, Host included, name no destination and are not looked at."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    line = data[: data.find(b"\r\n")]
    request = _REQUEST_LINE.fullmatch(line)
    if request is None:
        raise Unreadable("the CONNECT request is malformed")
    try:
        host, port = authority(request[1].decode())
    except InvalidName as error:
        raise Unreadable(str(error)) from None
    if port is None:
        raise Unreadable("CONNECT needs a port")
    return Connect(Destination(host, port), end + 4)


def authority(text: str) -> tuple[DomainName | IPAddress, int | None]:
    """Read ``host`` or ``host:port`` (RFC 3986, 3.2, without user information); raises InvalidName."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise InvalidName(f"`{text[:80]}` is not a host and a port")
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port < 65536:
        raise InvalidName(f"`{port}` is no port")
    return parse_host(match[1]), port


def client_hello(data: bytes) -> ClientHello | None:
    """Read a ClientHello, however its records are cut (RFC 8446, 4.1.2 and 5.1)."""
    message = _handshake(data)
    if message is None:
        return None
    try:
        return ClientHello(_server_name(_Reader(message)))
    except IndexError:
        raise Unreadable("the ClientHello is cut short") from None


def _handshake(data: bytes) -> bytes | None:
    """Collect the first handshake message out of its records; None while it is incomplete."""
    body = b""
    at = 0
    while len(data) >= at + 5:
        size = int.from_bytes(data[at + 3 : at + 5])
        if data[at] != 0x16 or data[at + 1] != 0x03 or not 0 < size <= 0x4000:
            raise Unreadable("the TLS record is malformed")
        body += data[at + 5 : at + 5 + size]
        if body[:1] not in (b"", b"\x01"):
            raise Unreadable("the first TLS message is no ClientHello")
        if len(body) >= 4 and len(body) >= (end := 4 + int.from_bytes(body[1:4])):
            return body[4:end]
        at += 5 + size
    return None


class _Reader:
    """Takes length-prefixed vectors off a message; IndexError where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, count: int) -> bytes:
        if len(self.rest) < count:
            raise IndexError
        taken, self.rest = self.rest[:count], self.rest[count:]
        return taken

    def vector(self, prefix: int) -> bytes:
        return self.take(int.from_bytes(self.take(prefix)))


def _server_name(hello: _Reader) -> DomainName | IPAddress | None:
    hello.take(2 + 32)  # version, random
    hello.vector(1)  # session id
    hello.vector(2)  # cipher suites
    hello.vector(1)  # compression methods
    if not hello.rest:
        return None
    extensions = _Reader(hello.vector(2))
    found: list[bytes] = []
    while extensions.rest:
        number, body = int.from_bytes(extensions.take(2)), extensions.vector(2)
        if number == 0:  # server_name, RFC 6066, 3
            found.append(body)
    if not found:
        return None
    if len(found) > 1:
        raise Unreadable("the ClientHello has two server name extensions")
    return _single_name(_Reader(_Reader(found[0]).vector(2)))


def _single_name(names: _Reader) -> DomainName | IPAddress:
    """Take exactly one plain name: what two servers might read differently, nobody can decide on."""
    type_, name = names.take(1), names.vector(2)
    if type_ != b"\0" or names.rest or not re.fullmatch(rb"[A-Za-z0-9_.:-]+", name):
        raise Unreadable("the server name is malformed")
    try:
        return parse_host(f"[{name.decode()}]" if b":" in name else name.decode())
    except InvalidName as error:
        raise Unreadable(str(error)) from None
