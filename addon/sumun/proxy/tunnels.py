"""Connections that are spliced now, and whether they still may be: a grant that ends, ends its connections too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from sumun.policy.engine import Policy
from sumun.proxy.relay import End

logger = logging.getLogger(__name__)

_INTERVAL = 0.25
"""Seconds between two looks at policy and clock."""
_AT_ONCE = 200
"""Tunnels that are asked about before other work gets its turn."""

type StillAllowed = Callable[[], bool]


@dataclass(slots=True)
class Tunnels:
    """Client ends of what is spliced; only those that concern generative AI are asked about again."""

    policy: Callable[[], Policy]
    clock: Callable[[], datetime]
    _all: set[End] = field(default_factory=set)
    _asked: dict[End, tuple[StillAllowed, datetime | None]] = field(default_factory=dict)
    _policy: Policy | None = None

    def __iter__(self) -> Iterator[End]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def add(self, end: End, still_allowed: StillAllowed | None, until: datetime | None) -> None:
        """Take a tunnel; ``until`` is when it has to be asked about though nothing else changes."""
        self._all.add(end)
        if still_allowed:
            self._asked[end] = still_allowed, until

    def discard(self, end: End) -> None:
        """Forget a tunnel that has ended."""
        self._all.discard(end)
        self._asked.pop(end, None)

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
        due = [end for end, (_, until) in self._asked.items() if changed or (until is not None and now >= until)]
        for number, end in enumerate(due, 1):
            self._ask(end)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _ask(self, end: End) -> None:
        asked = self._asked.get(end)
        if asked is None:
            return
        try:
            allowed = asked[0]()
        except Exception:
            logger.exception("asking about a tunnel failed")
            allowed = False
        if not allowed:
            end.close()
