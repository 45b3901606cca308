"""Connections that are spliced now, and whether they still may be: a grant that ends, ends its connections too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sumun.policy.engine import Policy
from sumun.proxy.relay import Tunnel

logger = logging.getLogger(__name__)

_INTERVAL = 0.25
"""Seconds between two looks at policy and clock."""
_AT_ONCE = 200
"""Tunnels that are asked about before other work gets its turn."""

type StillAllowed = Callable[[], bool]


@dataclass(slots=True)
class Tunnels:
    """What is spliced now; only those that concern generative AI are asked about again."""

    policy: Callable[[], Policy]
    clock: Callable[[], datetime]
    _all: set[Tunnel] = field(default_factory=set)
    _asked: dict[Tunnel, tuple[StillAllowed, datetime | None]] = field(default_factory=dict)
    _policy: Policy | None = None

    def __iter__(self) -> Iterator[Tunnel]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def add(self, tunnel: Tunnel, still_allowed: StillAllowed | None, until: datetime | None) -> None:
        """Take a tunnel; ``until`` is when it has to be asked about though nothing else changes."""
        self._all.add(tunnel)
        if still_allowed:
            self._asked[tunnel] = still_allowed, until

    def discard(self, tunnel: Tunnel) -> None:
        """Forget a tunnel that has ended."""
        self._all.discard(tunnel)
        self._asked.pop(tunnel, None)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL)
            await self.look()

    async def look(self) -> None:
        """End what may no longer be: after another policy, or another snapshot of grants, all; else what is due."""
        policy, now = self.policy(), self.clock()
        changed = policy is not self._policy
        self._policy = policy
        due = [tunnel for tunnel, (_, until) in self._asked.items() if changed or (until is not None and now >= until)]
        for number, tunnel in enumerate(due, 1):
            self._ask(tunnel)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _ask(self, tunnel: Tunnel) -> None:
        asked = self._asked.get(tunnel)
        if asked is None:
            return
        try:
            allowed = asked[0]()
        except Exception:
            logger.exception("asking about a tunnel failed")
            allowed = False
        if not allowed:
            tunnel.close()
