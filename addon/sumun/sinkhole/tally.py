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
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from typing import Final
from typing import Protocol as Port

from prometheus_client import Histogram

from sumun.model.event import AccessDecided
from sumun.model.name import IPAddress, plain
from sumun.sinkhole.outcome import Answer, Attempt, Kind, Labels, Protocol, Seen, Source
from sumun.sinkhole.ready import MAPPED
from sumun.telemetry.bulk import observe, observe_all
from sumun.telemetry.incident import NO_ID, new_id
from sumun.telemetry.metrics import Metrics

log = logging.getLogger("sumun.sinkhole")

_INTERVAL = 0.05
"""Seconds from one handing on to the next while there is something."""
_SHARE, _SHARE_AT_REST = 0.0125, 0.05
"""Parts of the interval that go into the log while queries come thick, and else; a sink's thread takes more than that
again to write it. In a flood of distinct attempts their windows grow longer than the second that equal attempts share
otherwise, and nothing is lost."""
_THICK = 50
"""Queries in an interval."""
_EVENTS = 8
"""Attempts between two looks at the clock."""
_MAX_OPEN = 131_072
"""Distinct attempts waiting, each less than half a kilobyte; more are handed on at once, whatever becomes of them."""
_COMPLAIN_EVERY = 10.0
_MAX_SHARED = 4096
_TOLD_FOR = 1.0
"""Seconds after the first for which equal attempts are told the same incident."""
INCIDENT: Final = len(NO_ID)
"""Octets of an incident in an answer."""
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


@dataclass(slots=True, eq=False, kw_only=True)
class _Told(Seen):
    """Attempts whose answers told the id of their event."""

    id: str
    answer: Answer
    protocol: Protocol
    since: float
    """Seconds on the clock of durations."""
    keys: list[tuple[bytes, Answer]] = field(default_factory=list)
    """What it is found by without comparing attempts."""


class Tally:
    """Every query is counted once on either side, as a response or with rcode ``DROPPED``; so is every attempt."""

    def __init__(self, metrics: Metrics, attempts: Attempts) -> None:
        self._metrics, self._attempts = metrics, attempts
        self._queries: Counts[tuple[str, Protocol, str]] = Counts()
        self._answered: Counts[Kind] = Counts()
        self._unsent: Counts[Kind] = Counts()
        self._dropped: Counts[str] = Counts()
        self._kinds: dict[tuple[object, ...], Kind] = {}
        self._kinds_of_shared: dict[tuple[object, ...], tuple[Attempt, Kind]] = {}
        self._bypasses: dict[tuple[str, str], Callable[[int], None]] = {}
        self._open: dict[tuple[bytes, Answer], Seen] = {}
        self._told: dict[tuple[object, ...], _Told] = {}
        """By client and attempt, the oldest first."""
        self._told_by_answer: dict[tuple[bytes, Answer], _Told] = {}
        self._clients: dict[bytes, bytes] = {}
        self._durations = {source: metrics.dns_response_duration.labels(source.value) for source in Source}
        self._decision: Histogram = metrics.decision_duration.labels("dns")
        self._decided: list[float] = []
        self._took: dict[Source, list[float]] = {source: [] for source in Source}
        self._due = False
        self._flushed = self._complained = -_COMPLAIN_EVERY

    def query(self, labels: Labels, protocol: Protocol, times: int = 1) -> None:
        """Count a query, whatever comes of it."""
        self._soon()
        self._queries[labels.segment, protocol, labels.type] += times

    def decided(self, seconds: float) -> None:
        """Note how long policy took."""
        self._decided.append(seconds)

    def drop(self, segment: str, times: int = 1) -> None:
        """Count a query that gets no answer."""
        self._soon()
        self._dropped[segment] += times

    def response(self, answer: Answer, protocol: Protocol, *, sent: bool, seconds: float) -> None:
        """Count an answer, or its loss, and how long after the query was taken up."""
        self._soon()
        kind = self.kind(answer, protocol)
        self._answered[kind] += 1
        if sent:
            self._took[kind.source].append(seconds)
        else:
            self._unsent[kind] += 1

    def attempt(self, client: bytes, answer: Answer, protocol: Protocol, at: datetime) -> bytes:
        """Note an attempt of the client of this address, if the answer is to one; what the answer tells, if it does."""
        if answer.attempt is None:
            return b""
        tells = answer.incident_at
        seen = self._telling(client, answer, protocol, at) if tells else self._waiting(client, answer, at)
        seen.times += 1
        seen.last = at
        return seen.octets

    def incident(self, client: bytes, answer: Answer, at: datetime, protocol: Protocol = "udp") -> bytes:
        """The id of the event that an attempt will be counted in, by ``batch``, and that is told in the answer.

        All that a client asks for anew within a second is one event: it has one id.
        """
        seen = answer.seen
        if seen is None or seen.client != client:
            seen = self._seen(client, answer, protocol, at)
        return seen.octets

    def _seen(self, client: bytes, answer: Answer, protocol: Protocol, at: datetime) -> Seen:
        """Where attempts of a client with a ready answer are added up; until another client asks, the answer knows."""
        if not answer.incident_at:
            answer.seen = self._waiting(client, answer, at)
            return answer.seen
        key = (client, answer)
        told = self._told_by_answer.get(key)
        if told is None:
            told = self._told_by_answer[key] = self._telling(client, answer, protocol, at)
            told.keys.append(key)
        answer.seen = told
        return told

    def _waiting(self, client: bytes, answer: Answer, at: datetime) -> Seen:
        seen = self._open.get((client, answer))
        if seen is None:
            client = self._known(client)
            seen = self._open[client, answer] = Seen(client, at, at)
        return seen

    def _telling(self, client: bytes, answer: Answer, protocol: Protocol, at: datetime) -> _Told:
        same = answer.attempt.sameness if answer.attempt else ()
        key = (client.removeprefix(MAPPED), protocol, answer.accused.text, *same)
        told = self._told.get(key)
        if told is None:
            id_ = new_id(at)
            told = self._told[key] = _Told(
                client, at, at, octets=id_.encode(), id=id_, answer=answer, protocol=protocol, since=time.monotonic()
            )
        return told

    def _known(self, client: bytes) -> bytes:
        """One object for each address, however many attempts of it wait."""
        if len(self._clients) >= _MAX_SHARED:
            self._clients.clear()
        return self._clients.setdefault(client, client)

    def batch(
        self,
        clients: Iterable[bytes],
        answers: Sequence[Answer],
        unsent: Iterable[int],
        at: datetime,
        seconds: float,
        protocol: Protocol = "udp",
    ) -> None:
        """All of the above for queries that were answered together, but for the ``unsent`` positions.

        What is done here for each query counts like that in a listener.
        """
        self._soon()
        kinds: dict[Kind, int] = {}
        for client, answer in zip(clients, answers, strict=False):
            kind = answer.kind or self.kind(answer, protocol)
            kinds[kind] = kinds.get(kind, 0) + 1
            seen = answer.seen
            if seen is None or seen.client != client:
                if answer.attempt is None:
                    continue
                seen = self._seen(client, answer, protocol, at)
            seen.times += 1
            seen.last = at
        for kind, times in kinds.items():
            self._queries[kind.asked] += times
            self._answered[kind] += times
            observe(self._durations[kind.source], seconds, times)
        for position in unsent:
            self._unsent[self.kind(answers[position], protocol)] += 1

    def bypass(self, segment: str, technique: str) -> None:
        """Count an attempt to get round the filter that is no question."""
        self._bypass(segment, technique)(1)

    def concentrated(self, segment: str, share: float) -> None:
        """Say how much of what a segment asks comes from one address."""
        self._metrics.dns_one_client.labels(segment).set(share)

    def failure(self, segment: str, mode: str) -> None:
        """Count a verdict taken because the filter itself failed."""
        self._metrics.failure_decisions.labels("dns", segment, mode).inc()

    def kind(self, answer: Answer, protocol: Protocol) -> Kind:
        """Where an answer counts, which is the same whoever gets it."""
        if answer.kind is not None:
            return answer.kind
        attempt = answer.attempt
        if attempt is None or attempt.name is not None:
            answer.kind = self._new_kind(answer, protocol)
            return answer.kind
        # of all names that policy cannot tell apart, ready answers hold one attempt
        key = id(attempt), answer.labels, protocol, answer.rcode, answer.source
        known = self._kinds_of_shared.get(key)
        if known is None or known[0] is not attempt:
            if len(self._kinds_of_shared) >= _MAX_SHARED:
                self._kinds_of_shared.clear()
            known = self._kinds_of_shared[key] = attempt, self._new_kind(answer, protocol)
        answer.kind = known[1]
        return answer.kind

    def _new_kind(self, answer: Answer, protocol: Protocol) -> Kind:
        attempt, counting = answer.attempt, None
        if attempt is not None:
            counting = self._guarded(lambda: self._attempts.counting(attempt.event(_NOBODY, protocol, _NEVER)))
        elif answer.bypass:
            counting = self._bypass(answer.labels.segment, answer.bypass)
        key = (answer.labels, protocol, answer.rcode, answer.source, counting)
        if key not in self._kinds:
            asked = (answer.labels.segment, protocol, answer.labels.type)
            self._kinds[key] = Kind(asked, answer.rcode, answer.source, counting)
        return self._kinds[key]

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
        while self._told and (everything or (self._first_is_over() and time.monotonic() < until)):
            self._log_told(early=everything)
        while len(self._open) > _MAX_OPEN:
            self._log_some()
        while len(self._told) > _MAX_OPEN or len(self._told_by_answer) > _MAX_OPEN:
            self._log_told(early=True)
        if self._open or self._told:
            self._soon()

    def _count(self) -> None:
        self._count_durations()
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

    def _count_durations(self) -> None:
        observe_all(self._decision, self._decided)
        self._decided.clear()
        for source, amounts in self._took.items():
            if amounts:
                observe_all(self._durations[source], amounts)
                amounts.clear()

    def _log_some(self) -> None:
        attempts = []
        for key in list(islice(self._open, _EVENTS)):
            (client, answer), seen = key, self._open.pop(key)
            if answer.seen is seen:
                answer.seen = None
            if (attempt := answer.tried()) is not None and answer.kind is not None:
                event = attempt.event(_address(client), answer.kind.asked[1], seen.first)
                attempts.append((event, seen.times, seen.last))
        self._guarded(lambda: self._attempts.log(attempts))

    def _first_is_over(self) -> bool:
        """Whether nobody else is to be told the oldest incident."""
        return time.monotonic() - next(iter(self._told.values())).since >= _TOLD_FOR

    def _log_told(self, *, early: bool) -> None:
        attempts: list[tuple[AccessDecided, int, datetime]] = []
        while self._told and len(attempts) < _EVENTS and (early or self._first_is_over()):
            told = self._told.pop(next(iter(self._told)))
            for key in told.keys:
                del self._told_by_answer[key]
                if key[1].seen is told:
                    key[1].seen = None
            if (attempt := told.answer.tried()) is not None:
                event = attempt.event(_address(told.client), told.protocol, told.first, told.id)
                attempts.append((event, told.times, told.last))
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


@lru_cache(maxsize=_MAX_SHARED)
def _address(client: bytes) -> IPAddress:
    return plain(ip_address(client))
