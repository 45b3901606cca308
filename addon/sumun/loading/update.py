"""One attempt to bring a subscribed list up to date: fetch, vet, keep; a bad version never lands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sumun.catalogue.guard import Guard
from sumun.config.settings import ListSource
from sumun.loading.fetch import Fetched, Progress, Validators, unseen
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.record import ListStore, Record, changed
from sumun.loading.signature import MAX_OCTETS
from sumun.loading.vet import Vetted, vet

_LOG = logging.getLogger(__name__)

type GuardFor = Callable[[ListSource], Guard]


class Fetches(Protocol):
    """Gets what is at a URL."""

    async def fetch(
        self, url: str, known: Validators = ..., *, limit: int | None = None, progress: Progress = ...
    ) -> Fetched | None:
        """The content, None if it is what ``known`` stands for; raises NotTaken, and nothing else."""
        ...


class Updater:
    """Knows where lists come from and where they are kept."""

    def __init__(self, fetcher: Fetches, store: ListStore, guard_for: GuardFor, clock: Callable[[], datetime]) -> None:
        self._fetcher, self._store, self._guard_for, self._clock = fetcher, store, guard_for, clock

    async def update(self, source: ListSource, *, accept: bool = False, progress: Progress = unseen) -> Record:
        """Take the version that is published if it is good; the record says what became of it. Never raises."""
        have = self._store.record(source.id)
        try:
            record, text = await self._next(source, have, accept=accept, progress=progress)
            self._store.keep(source.id, record, text)
        except NotTaken as why:
            record = self._not_taken(source, have, why)
        else:
            _tell(source, have, record)
        return record

    async def published(self, source: ListSource, *, progress: Progress = unseen) -> Vetted:
        """The version that is published, vetted by itself and not kept; raises NotTaken."""
        fetched = await self._fetcher.fetch(source.url, progress=progress)
        assert fetched is not None  # noqa: S101 - nothing was conditional
        return await self._vetted(fetched, source, Record(), accept=True)

    async def _next(
        self, source: ListSource, have: Record, *, accept: bool, progress: Progress
    ) -> tuple[Record, str | None]:
        known = Validators() if source.sha256 not in ("", have.sha256) else have.validators(source)
        fetched = await self._fetcher.fetch(source.url, known, progress=progress)
        if fetched is None:
            if not have.sha256:
                raise NotTaken(Outcome.STATUS, "the server answered 304 though nothing was asked conditionally")
            return have.taken(self._clock()), None
        before = have if have.url == source.url else replace(have, entries=0, last_modified="")
        vetted = await self._vetted(fetched, source, before, accept=accept)
        return self._taken(fetched, vetted, source, have)

    def _taken(self, fetched: Fetched, vetted: Vetted, source: ListSource, have: Record) -> tuple[Record, str | None]:
        at = self._clock()
        record = replace(
            changed(fetched, source, at),
            sha256=vetted.sha256,
            entries=vetted.entries,
            refused=vetted.refused,
            signed_at=vetted.signed_at,
        )
        if vetted.sha256 == have.sha256:
            return replace(record, taken_at=have.taken_at).taken(at), None
        return record, vetted.text

    async def _vetted(self, fetched: Fetched, source: ListSource, have: Record, *, accept: bool) -> Vetted:
        signature = None
        if source.public_key:
            found = await self._fetcher.fetch(source.signature_url, limit=MAX_OCTETS)
            signature = found.octets if found else None
        guard = self._guard_for(source)
        return await asyncio.to_thread(vet, fetched, source, guard, have, signature=signature, accept=accept)

    def _not_taken(self, source: ListSource, have: Record, why: NotTaken) -> Record:
        _LOG.warning("list `%s` is not updated: %s", source.id, why)
        record = have.failed(why, self._clock())
        try:
            self._store.keep(source.id, record)
        except NotTaken as trouble:
            _LOG.error("list `%s`: %s", source.id, trouble)
        return record


def _tell(source: ListSource, have: Record, record: Record) -> None:
    if record.outcome == Outcome.UPDATED:
        _LOG.info("list `%s` is updated: %d entries, %d before", source.id, record.entries, have.entries)
    elif have.failures:
        _LOG.info("list `%s` is up to date again after %d failures", source.id, have.failures)
