"""Takes what the enforcement points did: counts it at once, logs it within about a second.

INVARIANT: for each sink, the attempts in events written, dropped and still waiting add up to ``sumun_decisions_total``.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from prometheus_client import Counter

from sumun.model.decision import Decision, Undetermined
from sumun.model.event import AccessDecided
from sumun.model.request import UNKNOWN
from sumun.model.rule import Mode, Rule
from sumun.telemetry.ecs import MAX_TEXT
from sumun.telemetry.incident import new_id
from sumun.telemetry.metrics import Metrics
from sumun.telemetry.record import Record, action_of, service_of
from sumun.telemetry.spool import Sink, Spool

WINDOW = timedelta(seconds=1)
"""Equal attempts this long after the first are the same event."""
_TICK = 0.2
"""Seconds between looks at which windows have ended."""
_KEPT = MAX_TEXT + 1
"""Characters of an untrusted text that wait to be written; the one too many shows that there were more."""
_TECHNIQUE = re.compile(r"[a-z0-9_]{1,40}")


@dataclass(slots=True)
class _Open:
    """Equal attempts whose window has not ended."""

    id: str
    event: AccessDecided
    shadows: tuple[Rule, ...]
    last: datetime
    count: int = 0


class Recorder:
    """The ``Events`` port of the enforcement points; may be called from any thread."""

    def __init__(
        self,
        metrics: Metrics,
        sinks: Sequence[Sink],
        *,
        clock: Callable[[], datetime],
        make_id: Callable[[datetime], str] = new_id,
        limit: int = 4096,
    ) -> None:
        """Start a thread for each sink; ``limit`` bounds the distinct attempts held open."""
        self._metrics, self._clock, self._make_id, self._limit = metrics, clock, make_id, limit
        self._spools = [Spool(sink, metrics) for sink in sinks]
        self._open: dict[tuple[object, ...], _Open] = {}
        self._ended: list[_Open] = []
        self._counters: dict[tuple[object, ...], Callable[[int], None]] = {}
        self._lock = threading.Lock()

    def record(self, event: AccessDecided) -> str:
        """Count the attempt, and return the id of the event that it is part of."""
        event = _bounded(event)
        self._counting(event)(1)
        id_ = self._note(event, 1, event.at)
        if self._ended:
            with self._lock:
                self._put_ended()
        return id_

    def counting(self, event: AccessDecided) -> Callable[[int], None]:
        """What counts attempts like this one, the same object for the same counters; ``log`` is owed as many."""
        return self._counting(_bounded(event))

    def log(self, attempts: Iterable[tuple[AccessDecided, int, datetime]]) -> None:
        """Log attempts that are counted already: the first of them, how many were equal, and when the last was."""
        for event, times, last in attempts:
            self._note(_bounded(event), times, last)
        with self._lock:
            self._put_ended()

    def flush(self, now: datetime) -> None:
        """Hand events whose window has ended to the sinks."""
        with self._lock:
            ended = [key for key, opened in self._open.items() if not _within(opened, now)]
            self._release(ended)

    async def run(self) -> None:
        """Flush until cancelled; then ``close`` is due."""
        while True:
            await asyncio.sleep(_TICK)
            self.flush(self._clock())

    def close(self) -> None:
        """Write everything; what is recorded afterwards is counted as dropped."""
        with self._lock:
            self._release(list(self._open))
            self._limit = 0  # nobody flushes any more, so nothing may stay open
        for spool in self._spools:
            spool.close()

    def _join(self, event: AccessDecided) -> _Open:
        if event.id:  # whoever told the id has waited for all that it was told for
            told = self._opened(event)
            self._ended.append(told)
            return told
        key = _key(event)
        opened = self._open.get(key)
        if opened is not None and _within(opened, event.at):
            return opened
        if opened is not None:
            self._ended.append(self._open.pop(key))
        opened = self._open[key] = self._opened(event)
        return opened

    def _note(self, event: AccessDecided, times: int, last: datetime) -> str:
        with self._lock:
            opened = self._join(event)
            opened.count += times
            opened.last = max(opened.last, last)
        if len(self._open) > self._limit:
            self._flush_oldest()
        return opened.id

    def _opened(self, event: AccessDecided) -> _Open:
        id_ = event.id or self._make_id(event.at)
        return _Open(id_, _without_content(event), event.outcome.shadows, event.at)

    def _counting(self, event: AccessDecided) -> Callable[[int], None]:
        """INVARIANT: bounded like the labels of the metrics are."""
        outcome, bypass = event.outcome, event.bypass
        shadows = tuple(rule.action for rule in outcome.shadows)
        key = (
            event.point,
            outcome.segment,
            service_of(event),
            action_of(event),
            shadows,
            bypass and _technique(bypass),
        )
        if key not in self._counters:
            self._counters[key] = partial(_increase, self._counters_of(event))
        return self._counters[key]

    def _counters_of(self, event: AccessDecided) -> tuple[Counter, ...]:
        counters = [self._decisions(event), *(self._decisions(event, rule) for rule in event.outcome.shadows)]
        if event.bypass:
            technique = _technique(event.bypass)
            counters.append(self._metrics.bypass_attempts.labels(event.outcome.segment, technique))
        return tuple(counters)

    def _decisions(self, event: AccessDecided, shadow: Rule | None = None) -> Counter:
        mode = Mode.ENFORCE if shadow is None else Mode.SHADOW
        return self._metrics.decisions.labels(
            event.point, event.outcome.segment, service_of(event), action_of(event, shadow), mode
        )

    def _flush_oldest(self) -> None:
        """Make room in one go, so that a flood of distinct names does not pay for it at each of them."""
        with self._lock:
            self._release(list(islice(self._open, self._limit // 4 + 1)))

    def _release(self, keys: Sequence[tuple[object, ...]]) -> None:
        self._ended += [self._open.pop(key) for key in keys]
        self._put_ended()

    def _put_ended(self) -> None:
        ended, self._ended = self._ended, []
        records = [record for opened in ended for record in self._records(opened)]
        if records:
            for spool in self._spools:
                spool.put(records)

    def _records(self, opened: _Open) -> list[Record]:
        def record(event_id: str, shadow: Rule | None = None) -> Record:
            return Record(event_id, opened.event, opened.count, opened.event.at, opened.last, shadow)

        return [record(opened.id), *(record(self._make_id(opened.event.at), rule) for rule in opened.shadows)]


def _increase(counters: Sequence[Counter], times: int) -> None:
    for counter in counters:
        counter.inc(times)


def _bounded(event: AccessDecided) -> AccessDecided:
    """Cut what a client may make as long as it likes: thousands of events wait in memory."""
    request, context = event.request, event.context
    texts = (
        context.user_agent,
        context.server_name,
        request.method,
        context.dns_type,
        context.protocol,
        context.bypass,
    )
    if max(map(len, filter(None, texts)), default=0) <= _KEPT:
        return event
    agent, server_name, method, dns_type, protocol, bypass = (text and text[:_KEPT] for text in texts)
    context = replace(
        context, user_agent=agent, server_name=server_name, dns_type=dns_type, protocol=protocol, bypass=bypass
    )
    return replace(event, request=replace(request, method=method), context=context)


def _without_content(event: AccessDecided) -> AccessDecided:
    """The event without what the log never says, so that it does not even wait in memory."""
    request = event.request
    if request.path is UNKNOWN and request.model is UNKNOWN:
        return event  # as DNS has it, where there may be thousands a second
    return replace(event, request=replace(request, path=UNKNOWN, model=UNKNOWN))


def _technique(text: str) -> str:
    """A label must stay bounded, whoever wrote the text."""
    return text if _TECHNIQUE.fullmatch(text) else "other"


def _within(opened: _Open, at: datetime) -> bool:
    """Whether the window still holds; a clock that was set back ends it too."""
    return abs(at - opened.event.at) < WINDOW


def _key(event: AccessDecided) -> tuple[object, ...]:
    """What makes two attempts the same: every field of the log but the times."""
    request, outcome = event.request, event.outcome
    settled: tuple[object, ...] = (outcome.needs,) if isinstance(outcome, Undetermined) else _settled(outcome)
    return (
        event.point, event.verdict, event.data_exposed, event.context,
        request.client, request.name, request.address, request.port, request.method, request.content, request.user,
        outcome.segment, outcome.service and outcome.service.id, outcome.policy_revision,
        tuple(rule.id for rule in outcome.shadows), *settled,
    )  # fmt: skip


def _settled(decision: Decision) -> tuple[object, ...]:
    return decision.action, decision.reason, decision.rule and decision.rule.id, decision.exemption, decision.grant
