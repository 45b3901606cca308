"""The snapshot that decisions are made with, renewed off the event loop whenever the store has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from sumun.model.grant import Change, GrantChanged
from sumun.policy.grants import NOTHING_GRANTED, Grants
from sumun.store.copy import Copy
from sumun.store.faults import StoreFault
from sumun.store.store import DENIAL_SHOWN, Store

log = logging.getLogger(__name__)

INTERVAL = 0.25
"""Seconds between two looks: workers agree within a second, and a look costs a tenth of a millisecond."""
_AFTER_FAULT = 2.0
"""Seconds before the next look at a store that is down."""
_TIDY = timedelta(hours=1)


class Watch:
    """Holds one reference; whoever asks takes it once a request."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], datetime],
        tell: Callable[[GrantChanged], object],
        available: Callable[[bool], object] = bool,
        copy: Copy | None = None,
    ) -> None:
        """Take a store; ``tell`` is told in a thread what has lapsed, ``available`` what each look found.

        ``copy`` is where the last snapshot is kept for a process that starts while the store is down.
        """
        self.store = store
        self.current: Grants = copy.grants(clock()) if copy else NOTHING_GRANTED
        self._copy = copy
        self._clock, self._tell, self._available = clock, tell, available
        self._version = -1
        self._renew_at: datetime | None = None
        self._tidied: datetime | None = None
        self._fault = ""
        self._looking = asyncio.Lock()

    @property
    def is_available(self) -> bool:
        """Whether the last look found the store."""
        return self._version >= 0 and not self._fault

    async def look(self) -> bool:
        """Renew the snapshot if the store has changed; False: the store is down, and the snapshot stays."""
        async with self._looking:
            try:
                await asyncio.to_thread(self._look)
            except StoreFault as fault:
                if not self._fault:
                    log.error("%s; serving goes on with what was granted before", fault)  # noqa: TRY400  # the fault says it all
                self._fault = str(fault)
            else:
                if self._fault:
                    log.warning("the store answers again")
                self._fault = ""
        self._available(not self._fault)
        return not self._fault

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            found = await self.look()
            await asyncio.sleep(INTERVAL if found else _AFTER_FAULT)

    def _look(self) -> None:
        now = self._clock()
        if self._tidied is None or now - self._tidied >= _TIDY:
            self.store.tidy(now)
            self._tidied = now
        if self._renew_at is not None and now >= self._renew_at:
            for grant in self.store.expire(now):
                self._tell(GrantChanged.of(grant, Change.EXPIRED, now))
            self._version = -1
        if self.store.version() != self._version:
            self._renew(now)

    def _renew(self, now: datetime) -> None:
        """Take a new snapshot; it is right until something in it ends, which it knows itself."""
        found = self.store.snapshot(now)
        ends = [grant.until for grant in found.grants]
        if not all(found.answers.values()):
            ends.append(now + DENIAL_SHOWN)
        self.current = Grants(found.grants, found.answers)
        if self._copy:
            self._copy.keep(found)
        self._version, self._renew_at = found.version, min(ends, default=None)
