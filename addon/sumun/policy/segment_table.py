"""Client address to segment, by longest prefix."""

from __future__ import annotations

from collections.abc import Iterable

from sumun.model.name import IPAddress, plain
from sumun.model.rule import IPNetwork
from sumun.model.segment import Segment

type _Level = tuple[int, dict[int, Segment]]
"""Bits to shift away, and the segment for each remaining prefix."""


class SegmentTable:
    """Immutable after construction; one dict look-up a prefix length in use."""

    def __init__(self, segments: Iterable[Segment]) -> None:
        """Take segments whose networks are distinct (checked when the configuration is parsed)."""
        self.segments = tuple(segments)
        networks = [(network, segment) for segment in self.segments for network in segment.networks]
        self._levels = {version: _levels(networks, version) for version in (4, 6)}

    def __bool__(self) -> bool:
        """Whether any client is in a segment."""
        return any(self._levels.values())

    def find(self, client: IPAddress) -> Segment | None:
        """The segment of the longest network that holds the client; an IPv4-mapped address counts as IPv4."""
        client = plain(client)
        number = int(client)
        for shift, prefixes in self._levels[client.version]:
            if segment := prefixes.get(number >> shift):
                return segment
        return None


def _levels(networks: list[tuple[IPNetwork, Segment]], version: int) -> list[_Level]:
    levels: dict[int, dict[int, Segment]] = {}
    for network, segment in networks:
        if network.version == version:
            shift = network.max_prefixlen - network.prefixlen
            levels.setdefault(shift, {})[int(network.network_address) >> shift] = segment
    return sorted(levels.items())
