"""Keeps subscribed lists up to date, one after another, in one process of a host."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from sumun.config.settings import ListSource
from sumun.loading.record import Record
from sumun.telemetry.metrics import Metrics

_LOOK = 10.0
"""Seconds after which the configuration is looked at again at the latest."""
_FIRST_RETRY = timedelta(minutes=1)


class Refresher:
    """Asks for each list when it is due; workers see the new copy by watching files."""

    def __init__(
        self,
        *,
        lists: Callable[[], Sequence[ListSource]],
        record: Callable[[str], Record],
        update: Callable[[ListSource], Awaitable[Record]],
        metrics: Metrics,
        clock: Callable[[], datetime],
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._lists, self._record, self._update = lists, record, update
        self._metrics, self._clock, self._pause = metrics, clock, pause
        self._jitter: dict[str, float] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.once()
            await self._pause(_LOOK)

    async def once(self) -> None:
        """Update what is due now."""
        for source in self._lists():
            if source.url and self._is_due(source):
                record = await self._update(source)
                self._metrics.list_updates.labels(source.id, record.outcome).inc()
                self._jitter[source.id] = random.uniform(0.8, 1.0)  # noqa: S311 - spreads load, hides nothing

    def _is_due(self, source: ListSource) -> bool:
        record = self._record(source.id)
        moved = record.url != source.url or source.sha256 not in ("", record.sha256)
        if record.attempted_at is None or (not record.failures and (moved or not record.sha256)):
            return True
        return self._clock() >= record.attempted_at + wait_after(record, source) * self._jitter.get(source.id, 1.0)


def wait_after(record: Record, source: ListSource) -> timedelta:
    """How long to wait after the last attempt: the refresh time, or after failures less, doubled with each."""
    if not record.failures:
        return source.refresh
    return min(source.refresh, _FIRST_RETRY * (1 << min(record.failures - 1, 20)))
