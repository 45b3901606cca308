"""Whose query it is, where forwarders stand before us: only what listed ones say is believed. Pure.

PROXY protocol version 2 before a datagram, and EDNS client subnet (RFC 7871) in a query. What introduces the client is
taken off, so that its query is answered like one that came without.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from dns.edns import OptionType
from dns.rdatatype import RdataType

from sumun.config.settings import ClientSubnet
from sumun.model.name import IPAddress, plain
from sumun.model.parents import SIGNATURE, Unreadable, header, is_parent
from sumun.model.rule import IPNetwork
from sumun.upstream.message import MalformedMessage, Record, records

_OCTETS: Final = {1: 4, 2: 16}
"""Of an address of each family."""
_HEAD = 4
_MARK: Final = OptionType.ECS.to_bytes(2) + b"\x00"
"""Where a client subnet is, these octets are; its length is below 256."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """What a query says of its client."""

    address: IPAddress
    prefix: int


@dataclass(frozen=True, slots=True)
class Introduced:
    """A query without what introduced it."""

    wire: bytes
    client: IPAddress


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is believed, and how much a client subnet must tell."""

    trusted: tuple[IPNetwork, ...] = ()
    shortest: ClientSubnet = field(default_factory=ClientSubnet)

    def of(self, wire: bytes, peer: IPAddress) -> Introduced | None:
        """The query and its client; None: somebody claims to be who he may not, or cannot be understood."""
        believed = bool(self.trusted) and is_parent(peer, self.trusted)
        if wire.startswith(SIGNATURE):
            found = _introduction(wire, peer) if believed else None
            if found is None:
                return None
            wire, peer = found.wire, found.client
            believed = is_parent(peer, self.trusted)
        if believed and (subnet := self.subnet(wire)):
            return Introduced(without_subnet(wire), subnet.address)
        return Introduced(wire, peer)

    def claims(self, wire: bytes, client: IPAddress) -> bool:
        """Whether a query that is not believed says that it is for somebody else."""
        subnet = self.subnet(wire)
        return subnet is not None and subnet.address != client

    def subnet(self, wire: bytes) -> Subnet | None:
        """The client that a query names; None: it names none, or too many at once."""
        try:
            found = _subnet_of(wire) if _MARK in wire else None
        except MalformedMessage:
            return None
        if found is None:
            return None
        least = self.shortest.ipv4 if found.address.version == 4 else self.shortest.ipv6
        return found if found.prefix >= least else None


def without_subnet(wire: bytes) -> bytes:
    """A well-formed query without its client subnet."""
    opt = _opt_of(wire)
    if opt is None:
        return wire
    kept = b"".join(
        wire[at : at + _HEAD + length] for code, at, length in _options(wire, opt) if code != OptionType.ECS
    )
    return wire[: opt.data - 2] + len(kept).to_bytes(2) + kept + wire[opt.end :]


def _introduction(datagram: bytes, peer: IPAddress) -> Introduced | None:
    try:
        found = header(datagram)
    except Unreadable:
        return None
    return Introduced(datagram[found.size :], found.client or peer) if found else None


def _subnet_of(wire: bytes) -> Subnet | None:
    opt = _opt_of(wire)
    for code, at, length in _options(wire, opt) if opt else ():
        if code == OptionType.ECS:
            return _read(wire[at + _HEAD : at + _HEAD + length])
    return None


def _read(option: bytes) -> Subnet | None:
    """Family, length of the prefix, nought, and as many octets as the prefix needs (RFC 7871, 6)."""
    family, prefix = int.from_bytes(option[:2]), option[2] if len(option) > 3 else 0
    size = _OCTETS.get(family)
    if size is None or not 0 < prefix <= 8 * size or len(option) != 4 + (prefix + 7) // 8:
        return None
    return Subnet(plain(ip_address(option[4:].ljust(size, b"\0"))), prefix)


def _opt_of(wire: bytes) -> Record | None:
    return next((record for record in records(wire) if record.section == 3 and record.type == RdataType.OPT), None)


def _options(wire: bytes, opt: Record) -> list[tuple[int, int, int]]:
    """Code, offset and length of data of each; raises MalformedMessage."""
    found, at = [], opt.data
    while at < opt.end:
        length = int.from_bytes(wire[at + 2 : at + _HEAD])
        if at + _HEAD + length > opt.end:
            raise MalformedMessage("an option ends outside its record")
        found.append((int.from_bytes(wire[at : at + 2]), at, length))
        at += _HEAD + length
    return found
