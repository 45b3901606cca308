"""One query from octets to octets: judged, recorded, counted, and passed on where it must be."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address

from dns.rcode import Rcode

from sumun.model.name import IPAddress, plain
from sumun.model.parents import SIGNATURE
from sumun.model.segment import UNKNOWN_SEGMENT, FailMode
from sumun.policy.engine import Policy
from sumun.sinkhole import answers
from sumun.sinkhole.concentration import Concentration
from sumun.sinkhole.identity import Identity
from sumun.sinkhole.limits import RateLimit
from sumun.sinkhole.outcome import Answer, Drop, Forward, Labels, Protocol, Response, Source
from sumun.sinkhole.question import Echo
from sumun.sinkhole.ready import MAPPED, Table
from sumun.sinkhole.recall import Recall, Upstream
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.tally import Tally
from sumun.upstream.errors import UpstreamError
from sumun.upstream.message import HEADER, flags_of

log = logging.getLogger("sumun.sinkhole")

_MAX_IN_FLIGHT = 2_000
_MAX_PER_CLIENT = 500
"""Questions that one client may have with the upstreams; a forwarder for a whole site is one client."""
CHOSEN_ADDRESS = "chosen_address"
"""The technique of telling, unbidden, whose query it is (docs/reference/bypass.md)."""
_COMPLAIN_EVERY = 10.0
"""Seconds between two log lines of a kind: whoever finds a packet that breaks us cannot fill the disk with it."""

_PREPARED, _PREPARING = 8_192, 4.0
"""Answers of a scope, and seconds, that go into getting ready for another policy."""
_AT_ONCE, _BREATH = 8, 0.001
"""So many of them in a third of a millisecond, and the seconds left to queries before the next."""

type Reply = Callable[[bytes | None], object]
"""Takes the octets for the client once; None: there will be none. Returns False if they could not be sent."""


@dataclass(slots=True)
class _Query:
    wire: bytes
    client: IPAddress
    protocol: Protocol
    reply: Reply
    at: datetime
    start: float
    """Seconds on the clock of durations."""


class Handler:
    """Bounded: a question too many is answered SERVFAIL rather than kept waiting."""

    def __init__(
        self,
        *,
        responder: Responder,
        upstream: Upstream,
        tally: Tally,
        clock: Callable[[], datetime],
        limit: RateLimit | None = None,
        identity: Identity | None = None,
        by_segment: Mapping[str, Upstream] | None = None,
    ) -> None:
        """``by_segment``: segments that do not ask ``upstream``, and whom they ask."""
        self._responder = responder
        different = {id(each): each for each in (upstream, *(by_segment or {}).values())}
        # INVARIANT: what one upstream said is never given to clients of a segment that asks another
        recalls = {key: Recall(each, clock=clock, parts=len(different)) for key, each in different.items()}
        self._recall = recalls[id(upstream)]
        self._recalls = list(recalls.values())
        self._by_segment = {name: recalls[id(each)] for name, each in (by_segment or {}).items()}
        self._tally = tally
        self._clock = clock
        self._identity = identity or Identity()
        self._believing, self._limit = bool(self._identity.trusted), limit
        self.limit = limit.sparing(self._identity.trusted) if limit and self._believing else limit
        """What listeners ask before they take up a query over UDP: forwarders bring those of many."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._per_client: Counter[IPAddress] = Counter()
        self._logged_at: dict[str, float] = {}
        self._concentration = Concentration()

    def handle(self, wire: bytes, client: IPAddress, protocol: Protocol, reply: Reply) -> None:
        """Answer at once, or when the upstream has; never raises."""
        if self._believing or wire.startswith(SIGNATURE):
            introduced = self._identity.of(wire, client)
            if introduced is None:
                self.accused(client)
                self._drop(client, protocol, reply)
                return
            if introduced.client != client and protocol == "udp" and not self._admits(introduced.client):
                self._drop(introduced.client, protocol, reply)
                return
            wire, client = introduced.wire, introduced.client
        query = _Query(wire, client, protocol, reply, self._clock(), time.perf_counter())
        response = self._response(query)
        self._asked(response.labels.segment, client.packed, 1, query.at)
        self._tally.query(response.labels, protocol)
        match response:
            case Answer():
                self._finish(query, response)
            case Forward():
                self._pass_on(query, response)
            case Drop():
                self._tally.drop(response.labels.segment)
                reply(None)

    def _admits(self, client: IPAddress) -> bool:
        """Whether a forwarder may bring one more query of this client over UDP."""
        return self._limit is None or self._limit.admits(client.packed, self._clock().timestamp())

    def _drop(self, client: IPAddress, protocol: Protocol, reply: Reply) -> None:
        segment = self._segment_name(client)
        self._tally.query(Labels(segment), protocol)
        self._tally.drop(segment)
        reply(None)

    def ready_tables(self) -> tuple[dict[bytes, Table], datetime]:
        """What a listener may answer by look-up (``Responder.udp_tables``; in failure nothing), and the time."""
        try:
            return self._responder.udp_tables(), self._clock()
        except Exception:  # noqa: BLE001 - each query fails by itself, in ``handle``
            return {}, self._clock()

    def ready_table(self, client: IPAddress, protocol: Protocol) -> tuple[Table, datetime]:
        """The same for one client, over any protocol."""
        try:
            return self._responder.table(client, protocol), self._clock()
        except Exception:  # noqa: BLE001 - as above
            return {}, self._clock()

    def incident(self, client: bytes, answer: Answer, at: datetime, protocol: Protocol = "udp") -> bytes:
        """The id that a listener puts into an answer that it gives by look-up, and that tells one."""
        return self._tally.incident(client, answer, at, protocol)

    def answered(
        self,
        clients: Sequence[bytes],
        answers: Sequence[Answer],
        unsent: Iterable[int],
        at: datetime,
        seconds: float,
        protocol: Protocol = "udp",
    ) -> None:
        """Count what a listener answered by look-up, to whom, but for the ``unsent`` positions."""
        one = at.microsecond % len(answers)
        self._asked(answers[one].labels.segment, clients[one], len(answers), at)
        self._tally.batch(clients, answers, unsent, at, seconds, protocol)

    def accused(self, client: IPAddress) -> None:
        """Count that somebody who is not believed claimed to be somebody else."""
        self._tally.bypass(self._segment_name(client), CHOSEN_ADDRESS)

    def _asked(self, segment: str, client: bytes, times: int, at: datetime) -> None:
        """Tell when almost all that a segment asks comes from one address."""
        verdict = self._concentration.note(segment, client.removeprefix(MAPPED), times, at.timestamp())
        if verdict is None:
            return
        address = plain(ip_address(verdict.client))
        if self._responder.is_alone(address):
            return
        self._tally.concentrated(segment, verdict.share)
        if verdict.hides and verdict.first:  # once an hour
            log.warning(
                "%.0f %% of the %d queries of segment `%s` within the hour came from `%s`: if it forwards for others, "
                "name it in `listen.dns.trusted` and let it tell whose they are, since rules and events see it alone",
                verdict.share * 100,
                verdict.total,
                segment,
                address,
            )

    def limited(self, client: IPAddress) -> None:
        """Count a query over UDP that came too many, and gets no answer."""
        self._drop(client, "udp", lambda _: None)

    def _segment_name(self, client: IPAddress) -> str:
        try:
            return self._responder.segment_name(client)
        except Exception:  # noqa: BLE001 - the query counts all the same
            return UNKNOWN_SEGMENT

    def overflowed(self, times: int) -> None:
        """Count queries over UDP that the kernel threw away: nobody knows whose they were."""
        self._tally.query(Labels(UNKNOWN_SEGMENT), "udp", times)
        self._tally.drop(UNKNOWN_SEGMENT, times)

    def settle(self) -> None:
        """Hand on what is counted and noted."""
        self._tally.hand_on_all()

    async def prepare(self, policy: Policy) -> None:
        """Have answers ready that a policy about to be in force gives to what was asked of late; never raises.

        Else each of them were made anew at once, when that policy is in force, and queries would wait for one another.
        """
        successor = self._responder.successor(policy)
        try:
            async with asyncio.timeout(_PREPARING):
                for number, asked in enumerate(self._responder.asked(_PREPARED, self._clock()), 1):
                    self._prepare(successor, *asked)
                    if number % _AT_ONCE == 0:
                        await asyncio.sleep(_BREATH)
        except TimeoutError:
            log.debug("answers of the new policy are made ready while it is in force")
        except Exception:  # noqa: BLE001 - each query fails by itself, in ``handle``
            self._complain("preparing answers")
        self._responder.succeed(successor)

    def _prepare(self, successor: Responder, wire: bytes, client: IPAddress, protocol: Protocol) -> None:
        at = self._clock()
        response = successor.on_query(wire, client, protocol, at=at)
        if isinstance(response, Forward):
            self._recalled(successor, response, wire, protocol, at)

    async def drain(self, seconds: float) -> None:
        """Wait until every question passed on is answered, but no longer than this."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for recall in self._recalls:
            await recall.close()
        self.settle()

    def _response(self, query: _Query) -> Response:
        try:
            return self._ready(query) or self._decided(query)
        except Exception:  # noqa: BLE001 - a query must never end the process
            self._complain("answering a query")
        failed = self._response_in_failure(query)
        mode = FailMode.OPEN if isinstance(failed, Forward) else FailMode.CLOSED
        self._tally.failure(failed.labels.segment, mode.value)
        return failed

    def _ready(self, query: _Query) -> Answer | None:
        return self._responder.ready(query.wire, query.client, query.protocol, at=query.at)

    def _decided(self, query: _Query) -> Response:
        if self._identity.claims(query.wire, query.client):
            self.accused(query.client)
        began = time.perf_counter()
        try:
            return self._responder.on_query(query.wire, query.client, query.protocol, at=query.at)
        finally:
            self._tally.decided(time.perf_counter() - began)

    def _response_in_failure(self, query: _Query) -> Response:
        try:
            return self._responder.on_failure(query.wire, query.client, query.protocol)
        except Exception:  # noqa: BLE001 - the same, while serving in failure
            self._complain("serving in failure")
        if len(query.wire) < HEADER:
            return Drop(Labels(UNKNOWN_SEGMENT))
        return _servfail(Echo(flags_of(query.wire)), Labels(UNKNOWN_SEGMENT))

    def _pass_on(self, query: _Query, forward: Forward) -> None:
        if known := self._known(query, forward):
            self._finish(query, known)
            return
        if len(self._tasks) >= _MAX_IN_FLIGHT or self._per_client[query.client] >= _MAX_PER_CLIENT:
            why = "too many questions wait for the resolvers"
            self._finish(query, self._responder.on_upstream_failure(forward, why))
            return
        self._per_client[query.client] += 1
        task = asyncio.get_running_loop().create_task(self._ask(query, forward))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._passed(query, done))

    def _known(self, query: _Query, forward: Forward) -> Answer | None:
        try:
            return self._recalled(self._responder, forward, query.wire, query.protocol, query.at)
        except Exception:  # noqa: BLE001 - what is remembered must never stop what can be asked
            self._complain("looking into the cache")
            return None

    def _recalled(
        self, responder: Responder, forward: Forward, wire: bytes, protocol: Protocol, at: datetime
    ) -> Answer | None:
        reply = self._recall_for(forward).known(forward.query, at)
        if reply is None:
            return None
        answer = responder.on_reply(forward, reply.wire, at=at, known=reply.known)
        responder.keep(forward, wire, protocol, answer)
        return answer

    def _recall_for(self, forward: Forward) -> Recall:
        return self._by_segment.get(forward.labels.segment, self._recall)

    def _passed(self, query: _Query, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._per_client[query.client] -= 1
        if not self._per_client[query.client]:
            del self._per_client[query.client]

    async def _ask(self, query: _Query, forward: Forward) -> None:
        try:
            reply = await self._recall_for(forward).ask(forward.query)
            answer = self._responder.on_reply(forward, reply.wire, at=self._clock(), known=reply.known)
        except UpstreamError as fault:
            self._warn(fault)  # names the resolvers, which is not for clients to read
            answer = self._responder.on_upstream_failure(forward, "no upstream resolver answered")
        except asyncio.CancelledError:
            self._finish(query, self._responder.on_upstream_failure(forward, "the filter is stopping"))
            raise
        except Exception:  # noqa: BLE001 - an answer must never end the process
            self._complain("relaying an answer")
            self._tally.failure(forward.labels.segment, FailMode.CLOSED.value)
            answer = _servfail(forward.question.echo, forward.labels)
        self._finish(query, answer)

    def _finish(self, query: _Query, answer: Answer) -> None:
        incident = self._tally.attempt(query.client.packed, answer, query.protocol, query.at)
        sent = query.reply(query.wire[:2] + answer.telling(incident)) is not False
        self._tally.response(answer, query.protocol, sent=sent, seconds=time.perf_counter() - query.start)

    def _complain(self, doing: str) -> None:
        """Log the exception at hand, unless one was logged a moment ago; the counters count them all."""
        if self._may_log("failure"):
            log.exception("%s failed; further failures within %d seconds are only counted", doing, _COMPLAIN_EVERY)

    def _warn(self, fault: UpstreamError) -> None:
        if self._may_log("upstream"):
            log.warning("%s; the same within %d seconds is only counted", fault, _COMPLAIN_EVERY)

    def _may_log(self, kind: str) -> bool:
        now = time.monotonic()
        if now - self._logged_at.get(kind, -_COMPLAIN_EVERY) < _COMPLAIN_EVERY:
            return False
        self._logged_at[kind] = now
        return True


def _servfail(echo: Echo, labels: Labels) -> Answer:
    return Answer(answers.message(echo, Rcode.SERVFAIL), "SERVFAIL", Source.ERROR, labels)
