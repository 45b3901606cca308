"""Names that the sinkhole knows itself, and addresses that no public name should have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final, Self

from dns.rdatatype import RdataType

from sumun.config.settings import Resolving
from sumun.model.name import DomainName, IPAddress, plain
from sumun.upstream.message import Record, name_end, records

TTL = 60
"""Seconds of local answers."""
_PRIVATE: Final = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "::/127", "fc00::/7", "fe80::/10"),
    )
)
"""Of the IANA special-purpose address registries, what leads into the client's own networks or host."""
_LOOPBACK: Final = (ip_address("127.0.0.1"), ip_address("::1"))
_ADDRESSES: Final[frozenset[tuple[int, int]]] = frozenset({(RdataType.A, 4), (RdataType.AAAA, 16)})
_HINTS: Final = {4: 4, 6: 16}
"""Octets of an address, by the key of a parameter of HTTPS and SVCB that lists some."""


@dataclass(frozen=True, slots=True)
class LocalNames:
    """What ``resolver`` of the configuration says about names."""

    addresses: Mapping[DomainName, tuple[IPAddress, ...]] = field(default_factory=dict)
    guards_private: bool = False
    private_domains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, resolving: Resolving) -> Self:
        """The same, ready for look-ups."""
        private = frozenset(name.text for name in resolving.private_domains)
        return cls(dict(resolving.local), not resolving.private_answers, private)

    def of_type(self, name: DomainName, type_: int) -> list[bytes] | None:
        """Record data for a name known here, of which there may be none; None: not known here."""
        found = self.addresses.get(name)
        if found is None and _is_below(name, "localhost"):  # RFC 6761, 6.3: whoever answers for it leads it here
            found = _LOOPBACK
        if found is None:
            return None
        version = {RdataType.A: 4, RdataType.AAAA: 6}.get(RdataType.make(type_))
        return [address.packed for address in found if address.version == version]

    def is_nowhere(self, name: DomainName) -> bool:
        """Whether no name server may be asked for it: the Tor network's names tell on whoever asks (RFC 7686)."""
        return _is_below(name, "onion") and name not in self.addresses

    def rebinds(self, name: DomainName, reply: bytes) -> bool:
        """Whether the reply gives a public name a private address; raises MalformedMessage."""
        if not self.guards_private or any(suffix in self.private_domains for suffix in name.suffixes()):
            return False
        answers = (record for record in records(reply) if record.section == 1)
        return any(_is_private(plain(ip_address(data))) for a in answers for data in _addresses(reply, a))


def _is_below(name: DomainName, domain: str) -> bool:
    return name.text == domain or name.text.endswith("." + domain)


def _addresses(reply: bytes, record: Record) -> Iterator[bytes]:
    """The addresses that a record gives, hints of HTTPS and SVCB (RFC 9460, 7.3) included."""
    if (record.type, record.end - record.data) in _ADDRESSES:
        yield reply[record.data : record.end]
    if record.type not in (RdataType.HTTPS, RdataType.SVCB):
        return
    offset = name_end(reply, record.data + 2)
    while offset + 4 <= record.end:
        key, length = int.from_bytes(reply[offset : offset + 2]), int.from_bytes(reply[offset + 2 : offset + 4])
        offset, end = offset + 4, offset + 4 + length
        if (size := _HINTS.get(key)) and end <= record.end:
            yield from (reply[at : at + size] for at in range(offset, end - size + 1, size))
        offset = end


def _is_private(address: IPAddress) -> bool:
    return any(address.version == network.version and address in network for network in _PRIVATE)
