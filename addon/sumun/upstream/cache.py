"""Addresses that were found lately, for as long as those who published them allow.

Whoever dials asks here for every connection; without it each would cost two questions. What a name resolves to is
vetted at every use, so an answer that changes its mind (rebinding) gains nothing by being remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sumun.model.name import DomainName, IPAddress

MAX_TTL = 300
"""Seconds that an answer is kept at most: a host that moves is found again within minutes, whatever it said."""
NONE_TTL = 5
"""Seconds for which a name stays without address."""
ENTRIES = 8192


@dataclass(frozen=True, slots=True)
class Found:
    """An answer; ``ttl`` in seconds."""

    addresses: tuple[IPAddress, ...]
    ttl: int


class AddressCache:
    """Bounded; questions for one name that come together are asked once. Failures are not kept."""

    def __init__(self, find: Callable[[DomainName], Awaitable[Found]], now: Callable[[], float]) -> None:
        """Take who finds, and a clock in seconds that never goes back."""
        self._find = find
        self._now = now
        self._known: dict[str, tuple[float, tuple[IPAddress, ...]]] = {}
        self._asked: dict[str, asyncio.Task[tuple[IPAddress, ...]]] = {}

    async def addresses(self, name: DomainName) -> tuple[IPAddress, ...]:
        """What is known, or can be found; raises what the finder raises."""
        known = self._known.get(name.text)
        if known and self._now() < known[0]:
            return known[1]
        asked = self._asked.get(name.text)
        if asked is None:
            asked = self._asked[name.text] = asyncio.ensure_future(self._ask(name))
            asked.add_done_callback(lambda task: self._answered(name.text, task))
        return await asyncio.shield(asked)  # who gives up waiting leaves the others their answer

    async def _ask(self, name: DomainName) -> tuple[IPAddress, ...]:
        found = await self._find(name)
        ttl = min(found.ttl, MAX_TTL) if found.addresses else NONE_TTL
        if ttl > 0:
            self._keep(name.text, self._now() + ttl, found.addresses)
        return found.addresses

    def _keep(self, name: str, until: float, addresses: tuple[IPAddress, ...]) -> None:
        self._known.pop(name, None)
        if len(self._known) >= ENTRIES:
            del self._known[next(iter(self._known))]  # the one that was found longest ago
        self._known[name] = until, addresses

    def _answered(self, name: str, task: asyncio.Task[tuple[IPAddress, ...]]) -> None:
        del self._asked[name]
        if not task.cancelled():
            task.exception()  # told to whoever waits; nobody may wait any more
