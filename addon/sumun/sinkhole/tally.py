"""The counters and the attempts of the sinkhole, added up and handed on some twenty times a second.

A look into shared memory costs microseconds, and so does an event; a query that is answered by table look-up costs
less than either. So numbers are added here first, and leave together.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import islice
from typing import Protocol as Port

from prometheus_client import Histogram

from sumun.model.event import AccessDecided
from sumun.model.name import plain
from sumun.sinkhole.outcome import Answer, Kind, Labels, Protocol, Source
from sumun.telemetry.bulk import observe
from sumun.telemetry.metrics import Metrics

log = logging.getLogger("sumun.sinkhole")

_INTERVAL = 0.05
"""Seconds from one handing on to the next while there is something."""
_SHARE, _SHARE_AT_REST = 0.02, 0.05
"""Parts of the interval that go into the log while queries come thick, and else. In a flood of distinct attempts
their windows grow longer than the second that equal attempts share otherwise, and nothing is lost."""
_THICK = 50
"""Queries in an interval."""
_EVENTS = 8
"""Attempts between two looks at the clock."""
_MAX_OPEN = 131_072
"""Distinct attempts waiting, each less than half a kilobyte; more are handed on at once, whatever becomes of them."""
_COMPLAIN_EVERY = 10.0
_NOBODY, _NEVER = ip_address("0.0.0.0"), datetime.min.replace(tzinfo=UTC)
"""Counters do not depend on who and when."""


class Attempts(Port):
    """The decision log, for whoever counts in bulk."""

    def counting(self, event: AccessDecided) -> Callable[[int], None]:
        """What counts attempts like this one; ``log`` is owed as many."""
        ...

    def log(self, attempts: Iterable[tuple[AccessDecided, int, datetime]]) -> None:
        """Log attempts that are counted already: the first of them, how many were equal, and when the last was."""
        ...


@dataclass(slots=True)
class _Open:
    """Equal attempts that wait for the log."""

    first: datetime
    last: datetime
    times: int = 1


class Tally:
    """Every query is counted once on either side, as a response or with rcode ``DROPPED``; so is every attempt."""

    def __init__(self, metrics: Metrics, attempts: Attempts) -> None:
        self._metrics, self._attempts = metrics, attempts
        self._queries: Counts[tuple[str, Protocol, str]] = Counts()
        self._answered: Counts[Kind] = Counts()
        self._unsent: Counts[Kind] = Counts()
        self._dropped: Counts[str] = Counts()
        self._kinds: dict[tuple[object, ...], Kind] = {}
        self._bypasses: dict[tuple[str, str], Callable[[int], None]] = {}
        self._open: dict[tuple[bytes, Answer], _Open] = {}
        self._durations = {source: metrics.dns_response_duration.labels(source.value) for source in Source}
        self.decision: Histogram = metrics.decision_duration.labels("dns")
        self._due = False
        self._flushed = self._complained = -_COMPLAIN_EVERY

    def query(self, labels: Labels, protocol: Protocol) -> None:
        """Count a query, whatever comes of it."""
        self._soon()
        self._queries[labels.segment, protocol, labels.type] += 1

    def drop(self, segment: str) -> None:
        """Count a query that gets no answer."""
        self._soon()
        self._dropped[segment] += 1

    def response(self, answer: Answer, protocol: Protocol, *, sent: bool, seconds: float) -> None:
        """Count an answer, or its loss, and how long after the query was taken up."""
        self._soon()
        kind = self.kind(answer, protocol)
        self._answered[kind] += 1
        if sent:
            observe(self._durations[kind.source], seconds, 1)
        else:
            self._unsent[kind] += 1

    def attempt(self, client: bytes, answer: Answer, at: datetime) -> None:
        """Note an attempt of the client of this address, if the answer is to one."""
        if answer.attempt is None:
            return
        seen = self._open.setdefault((client, answer), _Open(at, at, 0))
        seen.times += 1
        seen.last = at

    def batch(
        self,
        answered: Sequence[tuple[bytes, Answer]],
        unsent: Iterable[int],
        at: datetime,
        seconds: float,
        protocol: Protocol = "udp",
    ) -> None:
        """All of the above for queries that were answered together, but for the ``unsent`` positions."""
        self._soon()
        kinds: dict[Kind, int] = {}
        waiting = self._open
        for key in answered:
            answer = key[1]
            kind = answer.kind or self.kind(answer, protocol)
            kinds[kind] = kinds.get(kind, 0) + 1
            if answer.attempt is not None:
                seen = waiting.get(key)
                if seen is None:
                    waiting[key] = _Open(at, at)
                else:
                    seen.times += 1
                    seen.last = at
        for kind, times in kinds.items():
            self._queries[kind.asked] += times
            self._answered[kind] += times
            observe(self._durations[kind.source], seconds, times)
        for position in unsent:
            self._unsent[self.kind(answered[position][1], protocol)] += 1

    def bypass(self, segment: str, technique: str) -> None:
        """Count an attempt to get round the filter that is no question."""
        self._bypass(segment, technique)(1)

    def failure(self, segment: str, mode: str) -> None:
        """Count a verdict taken because the filter itself failed."""
        self._metrics.failure_decisions.labels("dns", segment, mode).inc()

    def kind(self, answer: Answer, protocol: Protocol) -> Kind:
        """Where an answer counts, which is the same whoever gets it."""
        if answer.kind is None:
            attempt, counting = answer.attempt, None
            if attempt is not None:
                counting = self._guarded(lambda: self._attempts.counting(attempt.event(_NOBODY, protocol, _NEVER)))
            elif answer.bypass:
                counting = self._bypass(answer.labels.segment, answer.bypass)
            key = (answer.labels, protocol, answer.rcode, answer.source, counting)
            if key not in self._kinds:
                asked = (answer.labels.segment, protocol, answer.labels.type)
                self._kinds[key] = Kind(asked, answer.rcode, answer.source, counting)
            answer.kind = self._kinds[key]
        return answer.kind

    def hand_on_all(self) -> None:
        """Hand on everything now."""
        self._hand_on(everything=True)

    def _bypass(self, segment: str, technique: str) -> Callable[[int], None]:
        if (segment, technique) not in self._bypasses:
            self._bypasses[segment, technique] = self._metrics.bypass_attempts.labels(segment, technique).inc
        return self._bypasses[segment, technique]

    def _soon(self) -> None:
        """Hand on at the end of this turn of the event loop after a quiet time, else when the interval is over."""
        if self._due:
            return
        self._due = True
        rest = self._flushed + _INTERVAL - time.monotonic()
        loop = asyncio.get_running_loop()
        if rest > 0:
            loop.call_later(rest, self._hand_on)
        else:
            loop.call_soon(self._hand_on)

    def _hand_on(self, *, everything: bool = False) -> None:
        self._due, self._flushed = False, time.monotonic()
        share = _SHARE if self._queries.total() > _THICK else _SHARE_AT_REST
        self._count()
        until = self._flushed + _INTERVAL * share
        while self._open and (everything or time.monotonic() < until):
            self._log_some()
        while len(self._open) > _MAX_OPEN:
            self._log_some()
        if self._open:
            self._soon()

    def _count(self) -> None:
        for (segment, protocol, type_), times in self._queries.items():
            self._metrics.dns_queries.labels(segment, protocol, type_).inc(times)
        for kind, times in self._answered.items():
            unsent = self._unsent[kind]
            self._dropped[kind.asked[0]] += unsent
            self._metrics.dns_responses.labels(kind.asked[0], kind.rcode, kind.source.value).inc(times - unsent)
            if kind.counting is not None:
                kind.counting(times)
        for segment, times in self._dropped.items():
            if times:
                self._metrics.dns_responses.labels(segment, "DROPPED", Source.ERROR.value).inc(times)
        for counts in (self._queries, self._answered, self._unsent, self._dropped):
            counts.clear()

    def _log_some(self) -> None:
        attempts = []
        for key in list(islice(self._open, _EVENTS)):
            (client, answer), seen = key, self._open.pop(key)
            if answer.attempt is not None and answer.kind is not None:
                event = answer.attempt.event(plain(ip_address(client)), answer.kind.asked[1], seen.first)
                attempts.append((event, seen.times, seen.last))
        self._guarded(lambda: self._attempts.log(attempts))

    def _guarded[T](self, do: Callable[[], T]) -> T | None:
        """The log must never stop the serving path."""
        try:
            return do()
        except Exception:
            if time.monotonic() - self._complained > _COMPLAIN_EVERY:
                self._complained = time.monotonic()
                log.exception("recording an attempt failed; the same within %d seconds is not said", _COMPLAIN_EVERY)
            return None
