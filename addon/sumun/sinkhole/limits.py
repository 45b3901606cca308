"""How many queries a network may ask over UDP, where a flood costs its sender nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from sumun.model.name import plain
from sumun.model.rule import IPNetwork

_SHIFT = {4: 8, 6: 72}
"""Bits that do not count: clients share a limit with their /24, or their /56, which is one site (RFC 6177)."""
_MAX_CLIENTS = 65_536


@dataclass(slots=True)
class _Bucket:
    since: float
    taken: int = 0


@dataclass(slots=True)
class RateLimit:
    """A budget for each second and network; the time is an argument, in seconds."""

    queries: int
    """A second."""
    unlimited: tuple[IPNetwork, ...] = ()
    _networks: dict[tuple[int, int], _Bucket] = field(default_factory=dict)
    _clients: dict[bytes, _Bucket | None] = field(default_factory=dict)
    """None: no limit."""

    def sparing(self, networks: tuple[IPNetwork, ...]) -> RateLimit:
        """Another of the same size, that is not for these networks either."""
        return RateLimit(self.queries, (*self.unlimited, *networks))

    def admits(self, client: bytes, now: float) -> bool:
        """Whether one more query may come from this address, given by its octets."""
        if client not in self._clients:
            self._clients[client] = self._bucket(client, now)
        bucket = self._clients[client]
        if bucket is None:
            return True
        if not 0 <= now - bucket.since < 1:
            bucket.since, bucket.taken = now, 0
        bucket.taken += 1
        return bucket.taken <= self.queries

    def _bucket(self, client: bytes, now: float) -> _Bucket | None:
        if len(self._clients) >= _MAX_CLIENTS:  # a flood of forged addresses: all begin anew
            self._clients.clear()
            self._networks.clear()
        address = plain(ip_address(client))
        if any(address in network for network in self.unlimited):
            return None
        key = address.version, int(address) >> _SHIFT[address.version]
        return self._networks.setdefault(key, _Bucket(now))
