"""What a client says first: a TLS ClientHello, a CONNECT, another HTTP request, or something else.

Pure: bytes in, meaning out. ``None`` asks for more bytes; ``Unreadable`` says that more will not help.
"""

from __future__ import annotations

import re
import struct
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from sumun.model.name import DomainName, InvalidName, IPAddress, parse_host
from sumun.model.parents import Unreadable as Unreadable  # noqa: PLC0414 - so is a header before all this; one word for both
from sumun.proxy.destination import Destination

LIMIT = 16 * 1024
"""Octets looked at; a ClientHello with a post-quantum key share and a long ticket has less than 4 KiB."""

_METHOD = re.compile(rb"[A-Za-z][A-Za-z_-]{0,31} ")
_METHOD_SO_FAR = re.compile(rb"[A-Za-z][A-Za-z_-]{0,31}")
_REQUEST_LINE = re.compile(rb"CONNECT ([!-~]{1,512}) HTTP/1\.[01]", re.IGNORECASE)
_PLAIN_NAME = re.compile(rb"[A-Za-z0-9_.:-]+")
_RECORD = struct.Struct(">BBxH").unpack_from
_EXTENSION = struct.Struct(">HH").unpack_from
_AUTHORITY = re.compile(r"(\[[^][]*\]|[^][:@/?#\\]+)(?::([0-9]{1,5}))?", re.ASCII)


class Kind(Enum):
    """Told apart by the first bytes, so that one listener serves all."""

    TLS = auto()
    CONNECT = auto()
    HTTP = auto()
    SOCKS = auto()
    OTHER = auto()


class Connect(NamedTuple):
    """A CONNECT request (RFC 9110, 9.3.6)."""

    destination: Destination
    size: int
    """Octets that it took."""


class ClientHello(NamedTuple):
    """What a ClientHello tells the gate."""

    server_name: DomainName | IPAddress | None
    """None: the extension is absent. (A literal address is against RFC 6066, and some clients send it.)"""


_NAMELESS = ClientHello(None)


def kind(data: bytes) -> Kind | None:
    """Tell what begins here; the prior-knowledge preface of HTTP/2 is OTHER, for no page can be shown there."""
    if not data:
        return None
    if data.startswith(b"CONNECT "):
        return Kind.CONNECT
    if data[0] == 0x16:
        return None if len(data) < 2 else Kind.TLS if data[1] == 0x03 else Kind.OTHER
    if data[0] == 0x05:
        return Kind.SOCKS
    if method := _METHOD.match(data):
        verb = method[0].upper()
        return Kind.CONNECT if verb == b"CONNECT " else Kind.OTHER if verb == b"PRI " else Kind.HTTP
    return None if _METHOD_SO_FAR.fullmatch(data) else Kind.OTHER


def connect(data: bytes) -> Connect | None:
    """Read a CONNECT request; its header fields, Host included, name no destination and are not looked at."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    return _requested(data[: data.find(b"\r\n")], end + 4)


@lru_cache(maxsize=8192)
def _requested(line: bytes, size: int) -> Connect:
    """What the first line of a CONNECT asks for; the same few come again and again, and what is none is not kept."""
    request = _REQUEST_LINE.fullmatch(line)
    if request is None:
        raise Unreadable("the CONNECT request is malformed")
    try:
        host, port = authority(request[1].decode())
    except InvalidName as error:
        raise Unreadable(str(error)) from None
    if port is None:
        raise Unreadable("CONNECT needs a port")
    return Connect(Destination(host, port), size)


def request_line(data: bytes) -> bytes | None:
    """The first line of a request with its end, and whatever follows."""
    return data if b"\r\n" in data else None


def authority(text: str) -> tuple[DomainName | IPAddress, int | None]:
    """Read ``host`` or ``host:port`` (RFC 3986, 3.2, without user information); raises InvalidName."""
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise InvalidName(f"`{text[:80]}` is not a host and a port")
    port = int(match[2]) if match[2] else None
    if port is not None and not 0 < port < 65536:
        raise InvalidName(f"`{port}` is no port")
    return web_host(match[1]), port


def client_hello(data: bytes) -> ClientHello | None:
    """Read a ClientHello, however its records are cut (RFC 8446, 4.1.2 and 5.1)."""
    message = _handshake(data)
    if message is None:
        return None
    try:
        return _server_name(message)
    except (IndexError, struct.error):
        raise Unreadable("the ClientHello is cut short") from None


def _handshake(data: bytes) -> bytes | None:
    """Collect the first handshake message out of its records; None while it is incomplete."""
    body = b""
    at = 0
    while len(data) >= at + 5:
        type_, major, size = _RECORD(data, at)
        if type_ != 0x16 or major != 0x03 or not 0 < size <= 0x4000:
            raise Unreadable("the TLS record is malformed")
        at += 5
        body += data[at : at + size]
        if body and body[0] != 1:
            raise Unreadable("the first TLS message is no ClientHello")
        if len(body) >= 4 and len(body) >= (end := 4 + int.from_bytes(body[1:4])):
            if len(body) > end:
                raise Unreadable("a TLS message follows the ClientHello in its record")
            return body[4:]
        at += size
    return None


def _server_name(hello: bytes) -> ClientHello:
    """Walk over the fields of a ClientHello; IndexError or struct.error where one ends too early."""
    at = 35 + hello[34]  # version, random, session id
    at += 2 + (hello[at] << 8 | hello[at + 1])  # cipher suites
    at += 1 + hello[at]  # compression methods
    if at == len(hello):
        return _NAMELESS
    end = at + 2 + (hello[at] << 8 | hello[at + 1])
    at += 2
    if end != len(hello):
        raise Unreadable("the extensions do not end with the ClientHello")
    found: bytes | None = None
    extension = _EXTENSION
    while at < end:
        type_, size = extension(hello, at)
        at += 4 + size
        if type_ == 0:  # server_name, RFC 6066, 3
            if found is not None:
                raise Unreadable("the ClientHello has two server name extensions")
            found = hello[at - size : at]
    if at > end:
        raise IndexError
    return _NAMELESS if found is None else _single_name(found)


@lru_cache(maxsize=8192)
def _single_name(extension: bytes) -> ClientHello:
    """Take exactly one plain name: what two servers might read differently, nobody can decide on."""
    name = extension[5:]
    size = len(name)
    if len(extension) < 5:
        raise IndexError
    if extension[:5] != bytes((*(size + 3).to_bytes(2), 0, *size.to_bytes(2))) or not _PLAIN_NAME.fullmatch(name):
        raise Unreadable("the server name is malformed")
    try:
        return ClientHello(web_host(f"[{name.decode()}]" if b":" in name else name.decode()))
    except InvalidName as error:
        raise Unreadable(str(error)) from None


@lru_cache(maxsize=8192)
def web_host(text: str) -> DomainName | IPAddress:
    """Read a host, an IPv6 address in brackets; raises InvalidName.

    A name of other octets than letters, digits, hyphens and underscores is in no certificate and no Host, and what
    another parser makes of it nobody knows. The same few names come again and again; what raises is not kept.
    """
    host = parse_host(text)
    if isinstance(host, DomainName) and "\\" in host.text:
        raise InvalidName(f"`{text[:80]}` is not a host")
    return host
