"""Resolvers of their own for some domains: internal zones that no public resolver knows."""

from __future__ import annotations

from collections.abc import Mapping

from sumun.model.name import DomainName, IPAddress
from sumun.upstream.message import HEADER, labels_at
from sumun.upstream.resolver import Upstreams


class UpstreamsByDomain:
    """Asks the resolvers of the longest name that covers the question, else the general ones."""

    def __init__(self, general: Upstreams, domains: Mapping[DomainName, Upstreams]) -> None:
        self._general = general
        self._domains = {name.text: upstreams for name, upstreams in domains.items()}

    async def ask(self, query: bytes) -> bytes:
        """As ``Upstreams.ask``; raises UpstreamError, and nothing else."""
        return await self._for(DomainName.from_labels(labels_at(query, HEADER))).ask(query)

    async def addresses(self, name: DomainName) -> tuple[IPAddress, ...]:
        """As ``Upstreams.addresses``; raises UpstreamError, and nothing else."""
        return await self._for(name).addresses(name)

    async def close(self) -> None:
        """Close the connections kept open."""
        for upstreams in (self._general, *self._domains.values()):
            await upstreams.close()

    def _for(self, name: DomainName) -> Upstreams:
        return next((self._domains[s] for s in name.suffixes() if s in self._domains), self._general)
