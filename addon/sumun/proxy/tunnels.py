"""What runs now, and whether it still may: a grant that ends, ends its connections too, and so does a new rule."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sumun.policy.engine import Policy

logger = logging.getLogger(__name__)

_INTERVAL = 0.25
"""Seconds between two looks at policy and clock."""
_AT_ONCE = 200
"""Tunnels that are asked about before other work gets its turn."""

type StillAllowed = Callable[[], bool]


class Closable(Protocol):
    """A spliced connection, or a decrypted one with a request under way."""

    def close(self) -> None:
        """End it."""
        ...


@dataclass(slots=True)
class Tunnels[T: Closable]:
    """What runs now; only those that concern generative AI are asked about again."""

    policy: Callable[[], Policy]
    clock: Callable[[], datetime]
    gone: Callable[[str], None] | None = None
    """Told of each that has ended: whose it was."""
    _all: dict[T, str] = field(default_factory=dict)
    _asked: dict[T, tuple[StillAllowed, datetime | None]] = field(default_factory=dict)
    _policy: Policy | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def add(self, tunnel: T, still_allowed: StillAllowed | None, until: datetime | None, *, client: str = "") -> None:
        """Take a tunnel; ``until`` is when it has to be asked about though nothing else changes."""
        self._all[tunnel] = client
        if still_allowed:
            self._asked[tunnel] = still_allowed, until

    def discard(self, tunnel: T) -> None:
        """Forget a tunnel that has ended."""
        client = self._all.pop(tunnel, None)
        if client is not None and self.gone:
            self.gone(client)
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

    def _ask(self, tunnel: T) -> None:
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
