"""Which addresses the proxy may dial, decided before the first packet.

A client that cannot reach an internal address by itself must not reach it through the proxy, whatever it calls the
destination: a literal, a name that resolves there, or an IPv4 address wrapped in an IPv6 one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_network

from sumun.model.name import DomainName, IPAddress, plain
from sumun.model.rule import IPNetwork

_FORBIDDEN: tuple[tuple[IPNetwork, str], ...] = tuple(
    (ip_network(network), why)
    for network, why in (
        ("0.0.0.0/8", "unspecified"),  # RFC 1122; Linux takes 0.0.0.0 for this host
        ("10.0.0.0/8", "private"),  # RFC 1918
        ("100.64.0.0/10", "shared (carrier-grade NAT)"),  # RFC 6598; metadata of one large cloud lies here too
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),  # RFC 3927; 169.254.169.254 is the metadata service of most clouds
        ("168.63.129.16/32", "a cloud's metadata service"),  # Azure's, inside public space
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),  # RFC 6890
        ("192.0.2.0/24", "reserved"),  # RFC 5737
        ("192.88.99.0/24", "reserved"),  # RFC 7526: 6to4 relays
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved"),  # RFC 2544
        ("198.51.100.0/24", "reserved"),
        ("203.0.113.0/24", "reserved"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),  # broadcast included
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("100::/64", "reserved"),  # RFC 6666
        ("2001:db8::/32", "reserved"),  # RFC 3849
        ("3fff::/20", "reserved"),  # RFC 9637
        ("5f00::/16", "reserved"),  # RFC 9602
        ("fc00::/7", "private"),  # RFC 4193; fd00:ec2::254 is a metadata service
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),  # RFC 3879
        ("ff00::/8", "multicast"),
    )
)
_EMBEDDING: tuple[tuple[IPNetwork, int], ...] = (
    (ip_network("::/96"), 0),  # IPv4-compatible, RFC 4291, 2.5.5.1
    (ip_network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (ip_network("::ffff:0:0:0/96"), 0),  # IPv4-translated, RFC 2765
    (ip_network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (ip_network("64:ff9b:1::/48"), 0),  # NAT64 of the local network, RFC 8215 (last 32 bits, with /96 inside it)
    (ip_network("2002::/16"), 80),  # 6to4, RFC 3056
)
"""IPv6 ranges that carry an IPv4 address, and how many bits lie to its right."""
_TEREDO = ip_network("2001::/32")  # RFC 4380: the client's address stands inverted in the last 32 bits


@dataclass(frozen=True, slots=True)
class Destination:
    """What a client wants to reach."""

    host: DomainName | IPAddress
    port: int
    _hash: int = field(init=False, repr=False, compare=False)
    """Taken once: those of names and addresses are slow, and what was ruled and found is kept by destination."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.host, self.port)))

    def __hash__(self) -> int:
        return self._hash

    @property
    def name(self) -> DomainName | None:
        """The host, where it is a name."""
        return self.host if isinstance(self.host, DomainName) else None

    @property
    def address(self) -> IPAddress | None:
        """The host, where it is an address literal."""
        return None if isinstance(self.host, DomainName) else self.host

    def __str__(self) -> str:
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Vetting:
    """The rules of one host; pure, so every shell asks the same ones."""

    internal: tuple[IPNetwork, ...] = ()
    """Ranges that may be dialled although they are internal."""
    own: frozenset[tuple[IPAddress, int]] = frozenset()
    """Listeners of this host; an unspecified address stands for any."""

    def refusal(self, address: IPAddress, port: int, *, here: IPAddress | None = None) -> str | None:
        """Say why this may not be dialled; None: it may.

        ``here`` is the address at which the client reached us: it is ours too.
        """
        ours = plain(address)
        if self._is_ours(ours, port, here):
            return f"`{address}` port {port} is a listener of this filter"
        if not 0 < port < 65536:
            return f"`{port}` is no port"
        for candidate in (ours, *_embedded(ours)):
            if any(candidate in network for network in self.internal):
                continue
            if why := _forbidden(candidate):
                return f"`{address}` is {why}; name its range in `destinations.internal` if clients may reach it"
        return None

    def _is_ours(self, address: IPAddress, port: int, here: IPAddress | None) -> bool:
        local = address.is_loopback or address.is_unspecified or (here is not None and address == plain(here))
        return any(
            port == own_port and (address == own or (own.is_unspecified and local) or address.is_unspecified)
            for own, own_port in self.own
        )


def usable(
    vetting: Vetting, addresses: Iterable[IPAddress], port: int, *, here: IPAddress | None = None
) -> tuple[tuple[IPAddress, ...], str]:
    """Sort out the addresses that may be dialled; where there is none, the text says why."""
    good: list[IPAddress] = []
    why = "the name has no address"
    for address in addresses:
        if refusal := vetting.refusal(address, port, here=here):
            why = refusal
        else:
            good.append(address)
    return tuple(good), why


def _forbidden(address: IPAddress) -> str | None:
    return next((why for network, why in _FORBIDDEN if address in network), None)


def _embedded(address: IPAddress) -> list[IPAddress]:
    if isinstance(address, IPv4Address) or address.is_loopback or address.is_unspecified:
        return []
    number = int(address)
    found: list[IPAddress] = [
        IPv4Address(number >> shift & 0xFFFFFFFF) for network, shift in _EMBEDDING if address in network
    ]
    if address in _TEREDO:
        found.append(IPv4Address(~number & 0xFFFFFFFF))
    return found
