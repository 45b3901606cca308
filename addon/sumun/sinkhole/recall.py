"""Between the handler and the upstreams: what is known is not asked, and what is being asked is not asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol as Port

from sumun.sinkhole.cache import MAX_OCTETS, Cache, Hit, is_failure, key_of
from sumun.upstream.errors import UpstreamError

_STALE_AFTER = 1.8
"""Seconds after which a client gets a stale answer rather than wait (RFC 8767, section 5)."""
_MAX_PREFETCHES = 64


class Upstream(Port):
    """Who is asked what the sinkhole does not answer itself."""

    async def ask(self, query: bytes) -> bytes:
        """Raises UpstreamError, and nothing else."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What an upstream said, just now or before; its id means nothing."""

    wire: bytes
    known: Hit | None = None
    """Where it comes from memory."""


class Recall:
    """Asks through a cache. Questions of equal octets that are in flight share one answer."""

    def __init__(
        self, upstream: Upstream, *, clock: Callable[[], datetime], cache: Cache | None = None, parts: int = 1
    ) -> None:
        """``parts``: how many share the room that one process has for what upstreams said."""
        self._upstream, self._clock = upstream, clock
        self._cache = cache or Cache(MAX_OCTETS // parts)
        self._asked: dict[bytes, asyncio.Task[bytes]] = {}

    def known(self, query: bytes, at: datetime) -> Reply | None:
        """A fresh answer, at once; one that is in demand is asked for again before its time is over."""
        hit = self._cache.find(key_of(query), at.timestamp())
        if hit is None or not hit.fresh:
            return None
        if hit.ask_again and len(self._asked) < _MAX_PREFETCHES:
            self._asking(query)
        return Reply(hit.reply, hit)

    async def ask(self, query: bytes) -> Reply:
        """What an upstream says now, or said before if none answers in time; raises UpstreamError, and nothing else."""
        key, now = key_of(query), self._clock().timestamp()
        old = self._cache.find(key, now)
        stale = Reply(old.reply, old) if old else None
        if self._cache.failed(key, now):
            if stale is None:
                raise UpstreamError("nobody answered this question a moment ago")
            return stale
        asking = asyncio.shield(self._asking(query))  # who gives up waiting does not take the answer from others
        try:
            async with asyncio.timeout(_STALE_AFTER if stale else None):
                reply = await asking
        except (UpstreamError, TimeoutError):
            if stale is None:
                raise
            return stale
        return stale if stale and is_failure(reply) else Reply(reply)

    async def close(self) -> None:
        """Give up what is asked."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    def _asking(self, query: bytes) -> asyncio.Task[bytes]:
        key = key_of(query)
        if key not in self._asked:
            task = self._asked[key] = asyncio.get_running_loop().create_task(self._ask(key, query))
            task.add_done_callback(lambda done: self._answered(key, done))
        return self._asked[key]

    async def _ask(self, key: bytes, query: bytes) -> bytes:
        try:
            reply = await self._upstream.ask(query)
        except UpstreamError:
            self._cache.fail(key, self._clock().timestamp())
            raise
        if is_failure(reply):
            self._cache.fail(key, self._clock().timestamp())
        else:
            self._cache.keep(key, reply, self._clock().timestamp())
        return reply

    def _answered(self, key: bytes, task: asyncio.Task[bytes]) -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # whoever waits has it; for a prefetch nobody does, and the cache goes on
