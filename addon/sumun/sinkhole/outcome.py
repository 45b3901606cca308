"""What the responder says about one query: an answer, a question to pass on, or silence."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from sumun.model.decision import Decision, Outcome
from sumun.model.event import AccessDecided, Context
from sumun.model.name import DomainName, IPAddress
from sumun.model.request import AccessRequest
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.sinkhole.judgement import Judged
from sumun.sinkhole.question import Question, name_in

type Protocol = Literal["udp", "tcp", "dot", "doh"]


class Source(StrEnum):
    """Who an answer comes from: a metric label."""

    POLICY = "policy"
    UPSTREAM = "upstream"
    CACHE = "cache"
    """An upstream said it before; also where it did so too long ago, and nobody answers now."""
    LOCAL = "local"
    """Settled by the query itself, or about ourselves."""
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Labels:
    """The bounded facts that metrics keep of a query."""

    segment: str
    type: str = "OTHER"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of an access that concerns AI; who and when are added for each query."""

    name: DomainName | None
    """None: the name in the question of the answer, read when it is needed."""
    dns_type: str
    outcome: Outcome
    verdict: Verdict
    exposed: DataExposed
    """A forwarded name is known to the upstream, and may be to the servers of its zone."""

    def event(self, client: IPAddress, protocol: Protocol, at: datetime, id_: str = "") -> AccessDecided:
        """The record of one query."""
        request = AccessRequest(client, self.name)
        context = Context(dns_type=self.dns_type, protocol=protocol)
        return AccessDecided(at, Point.DNS, request, self.outcome, self.verdict, self.exposed, context, id_)

    @property
    def sameness(self) -> tuple[object, ...]:
        """What makes two attempts of one client at one name the same."""
        outcome = self.outcome
        why: tuple[object, ...] = ()
        if isinstance(outcome, Decision):
            why = outcome.reason, outcome.rule and outcome.rule.id, outcome.exemption, outcome.grant
        return self.dns_type, self.verdict, self.exposed, outcome.segment, outcome.policy_revision, *why


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """Answers that count alike."""

    asked: tuple[str, Protocol, str]
    """Segment, protocol and type of the query, as metrics have them."""
    rcode: str
    source: Source
    counting: Callable[[int], None] | None
    """Counts attempts, or questions for a way round the filter; None: these are none."""


@dataclass(frozen=True, slots=True)
class Ages:
    """How an answer out of the cache changes with time; moments in seconds since 1970."""

    made: float
    until: float
    ttls: tuple[tuple[int, int], ...]
    """Offset in the body of each time to live, and what it was when the answer was made."""


@dataclass(slots=True, eq=False)
class Seen:
    """Equal attempts of one client, which wait for the log."""

    client: bytes
    """Its address, as whoever counts them has it."""
    first: datetime
    last: datetime
    times: int = 0
    octets: bytes = b""
    """The id of their event, if their answers tell it."""


@dataclass(slots=True, eq=False)
class Answer:
    """Octets for the client. Nothing in it depends on who asked or when, so it can be given again."""

    body: bytes
    """The message after its id, which is the query's own."""
    rcode: str
    source: Source
    labels: Labels
    attempt: Attempt | None = None
    """None: no rule and no catalogue entry concerns it, and it is never logged."""
    until: float = math.inf
    """Seconds since 1970, before which it may be given again as it is."""
    ages: Ages | None = None
    """None: it does not age."""
    bypass: str | None = None
    """Technique of getting round the filter that was asked for, which is counted without an event."""
    kind: Kind | None = None
    """Filled in when it is first given."""
    carried: tuple[bytes, bytes] = (b"", b"")
    """What HTTP/2 says with it, and the body that this was made for."""
    incident_at: int = 0
    """Where the body keeps a place for the id of the event that the attempt is counted in; 0: nowhere."""
    seen: Seen | None = None
    """The attempts of the client that was given it last, where they are found at once."""

    def telling(self, incident: bytes) -> bytes:
        """The body with that id."""
        end = self.incident_at + len(incident)
        return self.body[: self.incident_at] + incident + self.body[end:] if incident else self.body

    @property
    def accused(self) -> DomainName:
        """The name that the attempt was at."""
        named = self.attempt.name if self.attempt else None
        return named or name_in(bytes(2) + self.body)

    def tried(self) -> Attempt | None:
        """The attempt with its name."""
        tried = self.attempt
        if tried is None or tried.name is not None:
            return tried
        return Attempt(self.accused, tried.dns_type, tried.outcome, tried.verdict, tried.exposed)

    def lives(self, now: float) -> bool:
        """Whether it may be given at this moment, in seconds since 1970; counts times to live down where need be."""
        if now < self.until:
            return True
        if self.ages is None or not self.ages.made <= now < self.ages.until:
            return False
        passed, body = int(now - self.ages.made), bytearray(self.body)
        for offset, ttl in self.ages.ttls:
            struct.pack_into("!I", body, offset, max(0, ttl - passed))
        self.body, self.until = bytes(body), min(self.ages.made + passed + 1, self.ages.until)
        return True


@dataclass(frozen=True, slots=True)
class Forward:
    """A question for an upstream, with what is needed to judge and relay its answer."""

    query: bytes
    question: Question
    labels: Labels
    client: IPAddress
    size: int
    """Octets that the client takes in one message."""
    judged: Judged | None
    """None: passed on without asking policy, which failed in a segment that stays open on failure."""
    attempt: Attempt | None


@dataclass(frozen=True, slots=True)
class Drop:
    """Not even a refusal: what came is no query."""

    labels: Labels


type Response = Answer | Forward | Drop
