"""Who the client is, where a proxy or a balancer stands before us: only what listed parents say is believed.

PROXY protocol, version 1 and 2 (HAProxy, doc/proxy-protocol.txt), and X-Forwarded-For. Pure, as ``opening``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from sumun.model.name import IPAddress, plain
from sumun.model.rule import IPNetwork
from sumun.proxy.opening import Unreadable

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
"""How version 2 begins."""
_TEXT = b"PROXY "
_LINE = 107
"""Octets of the longest line of version 1."""
_EXTRA = 2048
"""Octets of addresses and further fields of version 2 that are taken."""
_V1 = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f.:]{2,39}) ([0-9A-Fa-f.:]{2,39}) ([0-9]{1,5}) ([0-9]{1,5})\r\n")
_FORWARDED_FIELD = re.compile(rb"^X-Forwarded-For[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the connection proper."""

    client: IPAddress | None
    """None: the connection is the parent's own, such as a check of health."""
    size: int
    """Octets that it took; nought: there is none."""


def header(data: bytes) -> Header | None:
    """Read a header, if there is one; None: more is needed; raises Unreadable."""
    if data[: len(SIGNATURE)] == SIGNATURE[: len(data)]:
        return _binary(data) if len(data) >= 16 else None
    if data[: len(_TEXT)] == _TEXT[: len(data)]:
        return _text(data)
    return Header(None, 0)


def forwarded(values: Iterable[str], trusted: tuple[IPNetwork, ...]) -> IPAddress | None:
    """The client that X-Forwarded-For tells of: from the right, the first address that is no listed parent."""
    for text in reversed([part.strip() for value in values for part in value.split(",")]):
        try:
            address = plain(ip_address(text.strip("[]")))
        except ValueError:
            return None  # what stands left of it was written by somebody who is not believed
        if not is_parent(address, trusted):
            return address
    return None


def forwarded_in(head: bytes, trusted: tuple[IPNetwork, ...]) -> IPAddress | None:
    """The same, of the head of a CONNECT request."""
    return forwarded([value.decode("latin-1") for value in _FORWARDED_FIELD.findall(head)], trusted)


def is_parent(address: IPAddress, trusted: tuple[IPNetwork, ...]) -> bool:
    """Whether its word counts."""
    return bool(trusted) and any(address in network for network in trusted)


def _text(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _LINE)
    if end < 0:
        if len(data) >= _LINE:
            raise Unreadable("the PROXY line does not end")
        return None
    line = data[: end + 2]
    if line.startswith(b"PROXY UNKNOWN"):
        return Header(None, len(line))
    match = _V1.fullmatch(line)
    try:
        address = ip_address(match[2].decode()) if match else None
    except ValueError:
        address = None
    if match is None or address is None or address.version != int(match[1]):
        raise Unreadable("the PROXY line is malformed")
    return Header(plain(address), len(line))


def _binary(data: bytes) -> Header | None:
    version, command = data[12] >> 4, data[12] & 0xF
    size = 16 + int.from_bytes(data[14:16])
    if version != 2 or command > 1 or size > 16 + _EXTRA:
        raise Unreadable("the PROXY header is malformed")
    if len(data) < size:
        return None
    family, body = data[13], data[16:size]
    if command == 0 or family >> 4 == 0:
        return Header(None, size)
    if family == 0x11 and len(body) >= 12:
        return Header(IPv4Address(body[:4]), size)
    if family == 0x21 and len(body) >= 36:
        return Header(plain(IPv6Address(body[:16])), size)
    raise Unreadable("the PROXY header is of a kind that is not served")
