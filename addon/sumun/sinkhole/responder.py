"""What to say to a DNS query. Opens no socket and reads no clock."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from datetime import datetime
from ipaddress import IPv4Address, ip_address
from typing import Final

from dns.edns import EDECode
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from sumun.config.settings import PagesListener
from sumun.model.name import DomainName, IPAddress, plain
from sumun.model.request import AccessRequest
from sumun.model.segment import UNKNOWN_SEGMENT, DnsPolicy, FailMode
from sumun.model.verdict import DataExposed, Verdict
from sumun.policy.by_name import decide_name, refused_canary
from sumun.policy.engine import Policy
from sumun.policy.verdicts import must_see_inside, sinkhole_addresses
from sumun.sinkhole import answers, local, relay, service_records
from sumun.sinkhole.answers import Addresses, Explanation
from sumun.sinkhole.cache import Hit, times_to_live
from sumun.sinkhole.cookies import Cookies
from sumun.sinkhole.deciding import Deciding
from sumun.sinkhole.judgement import Judged
from sumun.sinkhole.labels import rcode_label, type_label, type_text
from sumun.sinkhole.local import LocalNames
from sumun.sinkhole.outcome import Ages, Answer, Attempt, Drop, Forward, Labels, Protocol, Response, Source
from sumun.sinkhole.question import Echo, Fault, Question, read
from sumun.sinkhole.ready import ReadyAnswers, Table, find
from sumun.telemetry.incident import NO_ID

HEALTH_NAME: Final = DomainName.parse("health.sumun.invalid")
"""Answered 127.0.0.1 to clients on loopback, without policy or upstream: shows that the listener serves."""

_LOOPBACK = Addresses(IPv4Address("127.0.0.1").packed, None)
ELSEWHERE: Final = Explanation(EDECode.BLOCKED, "this network answers its own questions")
REBINDING: Final = Explanation(EDECode.FILTERED, "a private address for a public name")
STALE: Final = Explanation(EDECode.STALE_ANSWER)
_NO_ID: Final = NO_ID.encode()
_ENCRYPTED = frozenset({"dot", "doh"})
_FOR_ONE_HOP = frozenset({0, RdataType.OPT, *range(249, 255)})
"""Types that a forwarder cannot pass on: TKEY, TSIG, zone transfers and mail queries (RFC 6895, 3.1)."""


class Responder:
    """Policy is asked first, for every question; what an upstream says is used only after that."""

    def __init__(
        self,
        *,
        policy: Callable[[], Policy],
        pages: PagesListener,
        names: LocalNames | None = None,
        secret: bytes = b"",
    ) -> None:
        """``secret`` is sixteen octets that cookies are made with; without it they are made anew."""
        self._policy = policy
        self._local = names or LocalNames()
        self._cookies = Cookies(secret or secrets.token_bytes(16))
        self._pages, self._by_category = pages.addresses, dict(pages.categories)
        self._general = Addresses.of(pages.addresses)
        self._ready = ReadyAnswers()
        self._deciding: Deciding | None = None

    def segment_name(self, client: IPAddress) -> str:
        """The segment of a client, as metrics have it."""
        return _segment_name(self._policy(), client)

    def is_alone(self, client: IPAddress) -> bool:
        """Whether the client's segment is this one address."""
        segment = self._policy().segment_of(client)
        return segment is not None and sum(network.num_addresses for network in segment.networks) == 1

    def udp_tables(self) -> dict[bytes, Table]:
        """For each client that asked before, by the octets of its address, the answers that ``ready`` would give."""
        return self._ready.udp_tables(self._policy())

    def table(self, client: IPAddress, protocol: Protocol) -> Table:
        """The answers that ``ready`` would give to this client."""
        return self._table(self._policy(), client, protocol)

    def ready(self, wire: bytes, client: IPAddress, protocol: Protocol, *, at: datetime) -> Answer | None:
        """The answer that ``on_query`` gave to the same question in the same place, if it still holds."""
        return find(self._table(self._policy(), client, protocol), wire, at)

    def on_query(self, wire: bytes, client: IPAddress, protocol: Protocol, *, at: datetime) -> Response:
        """Answer a query, or say what to ask an upstream, whose reply then goes to ``on_reply``."""
        policy = self._policy()
        deciding = self._decider(policy)
        segment = deciding.segment_of(client)
        name = segment.name if segment else UNKNOWN_SEGMENT
        question = self._with_cookie(_as_carried(read(wire), protocol), client, at)
        if not isinstance(question, Question):
            return _faulty(question, name)
        if question.name == HEALTH_NAME and client.is_loopback:
            return _healthy(question, name)
        outcome = decide_name(deciding, AccessRequest(client, question.name), at=at)
        judged = Judged(policy, segment.dns if segment else DnsPolicy(), outcome)
        if found := refused_canary(policy, outcome, question.name):
            answer = _refused_elsewhere(question, judged, at, *found)
        elif judged.verdict(question.type) is not Verdict.FORWARDED:
            answer = self._answer(question, question.name, judged, at)
        elif (data := self._local.of_type(question.name, question.type)) is not None:
            answer = _known_here(question, judged, data)
        elif self._local.is_nowhere(question.name):
            answer = _nowhere(question, judged)
        else:
            return _forward(question, client, protocol, name, judged)
        if question.repeats:
            self._ready.keep(self._table(policy, client, protocol), wire, answer, judged.full_until)
        return answer

    def on_reply(self, forward: Forward, reply: bytes, *, at: datetime, known: Hit | None = None) -> Answer:
        """Relay what the upstream said, just now or as ``known``, unless it leads to a name blocked for this client."""
        try:
            led_to = self._chain(forward, reply, at)
            if self._local.rebinds(forward.question.name, reply):
                return _rebinding(forward)
            reply = _seen_through(forward, led_to, reply)
            if blocked := self._blocked_target(forward, led_to, at):
                return blocked
            stale = STALE if known and not known.fresh else None
            longest = _shortest(forward, led_to, at)
            body = relay.relayed(reply, forward.question, longest_ttl=longest, size=forward.size, explanation=stale)
        except ValueError as fault:
            return self.on_upstream_failure(forward, f"upstream answer is malformed: {fault}")
        source = Source.CACHE if known else Source.UPSTREAM
        bypass = forward.judged.outcome.bypass if forward.judged else None
        answer = Answer(body, rcode_label(body[1]), source, forward.labels, forward.attempt, bypass=bypass)
        if known and known.fresh:
            end = min([known.until, *(until.timestamp() for until in _boundaries(forward, led_to))])
            answer.ages, answer.until = Ages(at.timestamp(), end, _ttls(body)), min(end, at.timestamp() + 1)
        return answer

    def keep(self, forward: Forward, wire: bytes, protocol: Protocol, answer: Answer) -> None:
        """Let a fresh answer out of the cache be given to the same question without asking policy, which has spoken."""
        policy = self._policy()
        if answer.ages and forward.question.repeats and forward.judged and forward.judged.policy is policy:
            self._ready.keep(self._table(policy, forward.client, protocol), wire, answer, None)

    def on_upstream_failure(self, forward: Forward, why: str) -> Answer:
        """Say that nobody answered (RFC 8914, 4.23: network error)."""
        explanation = Explanation(EDECode.NETWORK_ERROR, why)
        body = answers.message(forward.question.echo, Rcode.SERVFAIL, explanation=explanation)
        return Answer(body, "SERVFAIL", Source.ERROR, forward.labels, forward.attempt)

    def on_failure(self, wire: bytes, client: IPAddress, protocol: Protocol) -> Response:
        """Serve as the segment's ``on_failure`` says, after this filter itself failed on the query."""
        segment = self._policy().segment_of(client)
        name = segment.name if segment else UNKNOWN_SEGMENT
        question = read(wire)
        if question is None:
            return Drop(Labels(name))
        if segment and segment.on_failure is FailMode.OPEN and isinstance(question, Question):
            return _forward(question, client, protocol, name, None)
        return Answer(answers.message(question.echo, Rcode.SERVFAIL), "SERVFAIL", Source.ERROR, Labels(name))

    def asked(self, most: int, at: datetime) -> Iterator[tuple[bytes, IPAddress, Protocol]]:
        """The newest questions that ``ready`` answers, and a client for whom it does; at most so many of each scope."""
        for client, protocol, wire, answer in self._ready.asked(most):
            if answer.lives(at.timestamp()):
                yield bytes(2) + wire, plain(ip_address(client)), protocol

    def successor(self, policy: Policy) -> Responder:
        """One that speaks of another policy, and remembers nothing yet."""
        it = copy(self)
        it._policy, it._ready, it._deciding = (lambda: policy), ReadyAnswers(), None
        return it

    def succeed(self, prepared: Responder) -> None:
        """Remember what a successor does. It is forgotten unless the policy that it speaks of is now in force."""
        prepared._ready.take_over(self._ready)
        self._ready, self._deciding = prepared._ready, prepared._deciding

    def _decider(self, policy: Policy) -> Deciding:
        if self._deciding is None or self._deciding.policy is not policy:
            self._deciding = Deciding(policy)
        return self._deciding

    def _table(self, policy: Policy, client: IPAddress, protocol: Protocol) -> Table:
        return self._ready.table(policy, client, protocol, lambda: _segment_name(policy, client))

    def _with_cookie(self, asked: Question | Fault | None, client: IPAddress, at: datetime) -> Question | Fault | None:
        if asked is None or asked.echo.edns is None or not asked.echo.edns.cookie:
            return asked
        edns = asked.echo.edns
        edns = replace(edns, cookie=self._cookies.answer(edns.cookie, client, at.timestamp()))
        return replace(asked, echo=replace(asked.echo, edns=edns))

    def _chain(self, forward: Forward, reply: bytes, at: datetime) -> list[tuple[DomainName, Judged]]:
        """The names that a reply leads to, judged: a name is no way round the block of another.

        Where a rule or an exemption names what was asked for, that word stands: whoever allows one name of a
        blocked service does not know, and need not, what it is an alias of.
        """
        judged = forward.judged
        if judged is None or judged.names_the_destination:
            return []
        deciding = self._decider(judged.policy)
        return [
            (name, replace(judged, outcome=decide_name(deciding, AccessRequest(forward.client, name), at=at)))
            for name in relay.targets(reply)
            if name != forward.question.name  # judged when it was asked
        ]

    def _blocked_target(self, forward: Forward, led_to: list[tuple[DomainName, Judged]], at: datetime) -> Answer | None:
        for name, judged in led_to:
            if judged.blocks:
                return self._answer(forward.question, name, judged, at, DataExposed.NAME_ONLY)
        return None

    def _answer(
        self,
        question: Question,
        accused: DomainName,
        judged: Judged,
        at: datetime,
        exposed: DataExposed = DataExposed.NONE,
    ) -> Answer:
        """Our own answer; ``accused`` is the name that policy spoke of, the question's or one it leads to."""
        verdict, edns = judged.verdict(question.type), question.echo.edns
        explanation = judged.explanation(structured=edns.reads_errors) if edns else None
        found = sinkhole_addresses(judged.outcome, self._pages, self._by_category)
        addresses = self._general if found is self._pages else Addresses.of(found)
        rcode, body = answers.blocked(question, verdict, addresses, judged.ttl(at), explanation)
        if explanation and explanation.structured and len(body) + 2 > answers.udp_size(question.echo):
            explanation = judged.explanation()
            rcode, body = answers.blocked(question, verdict, addresses, judged.ttl(at), explanation)
        labels = Labels(judged.outcome.segment, type_label(question.type))
        attempt = Attempt(accused, type_text(question.type), judged.outcome, verdict, exposed)
        answer = Answer(body, rcode.name, Source.POLICY, labels, attempt)
        if edns and explanation and explanation.tells_incident:
            answer.incident_at = body.rindex(_NO_ID)  # the option is the last thing in a message of ours
        return answer


def _as_carried(asked: Question | Fault | None, protocol: Protocol) -> Question | Fault | None:
    """Padding hides nothing where nothing is encrypted: there it is not asked for (RFC 7830, section 6)."""
    if asked is None or protocol in _ENCRYPTED or not (asked.echo.edns and asked.echo.edns.padded):
        return asked
    return replace(asked, echo=replace(asked.echo, edns=replace(asked.echo.edns, padded=False)))


def _segment_name(policy: Policy, client: IPAddress) -> str:
    segment = policy.segment_of(client)
    return segment.name if segment else UNKNOWN_SEGMENT


def _faulty(fault: Fault | None, segment: str) -> Response:
    if fault is None:
        return Drop(Labels(segment))
    return _local(fault.echo, fault.rcode, Labels(segment))


def _healthy(question: Question, segment: str) -> Answer:
    body = answers.positive(question, _LOOPBACK, ttl=0)
    return Answer(body, "NOERROR", Source.LOCAL, Labels(segment, type_label(question.type)))


def _local(echo: Echo, rcode: Rcode, labels: Labels, attempt: Attempt | None = None) -> Answer:
    return Answer(answers.message(echo, rcode), rcode.name, Source.LOCAL, labels, attempt)


def _forward(
    question: Question, client: IPAddress, protocol: Protocol, segment: str, judged: Judged | None
) -> Forward | Answer:
    attempt = _forwarded(question, judged) if judged else None
    labels = Labels(segment, type_label(question.type))
    if question.type in _FOR_ONE_HOP:
        refused = attempt and replace(attempt, verdict=Verdict.REFUSED, exposed=DataExposed.NONE)
        return _local(question.echo, Rcode.NOTIMP, labels, refused)
    size = answers.udp_size(question.echo) if protocol == "udp" else 65_535
    return Forward(relay.upstream_query(question.echo), question, labels, client, size, judged, attempt)


def _forwarded(question: Question, judged: Judged) -> Attempt | None:
    if not judged.concerns_ai:
        return None
    return Attempt(question.name, type_text(question.type), judged.outcome, Verdict.FORWARDED, DataExposed.NAME_ONLY)


def _along(forward: Forward, led_to: list[tuple[DomainName, Judged]]) -> list[Judged]:
    return [judged for judged in (forward.judged, *(judged for _, judged in led_to)) if judged]


def _shortest(forward: Forward, led_to: list[tuple[DomainName, Judged]], at: datetime) -> int | None:
    lifetimes = [judged.lifetime(at) for judged in _along(forward, led_to)]
    return min((seconds for seconds in lifetimes if seconds is not None), default=None)


def _seen_through(forward: Forward, led_to: list[tuple[DomainName, Judged]], reply: bytes) -> bytes:
    """Nothing is changed for names that no rule and no catalogue entry concerns."""
    along = [judged for judged in _along(forward, led_to) if judged.concerns_ai]
    if forward.question.type not in service_records.TYPES or not along:
        return reply
    return service_records.seen_through(reply, without_h3=any(must_see_inside(judged.outcome) for judged in along))


def _known_here(question: Question, judged: Judged, data: list[bytes]) -> Answer:
    return _of_ours(question, judged, Rcode.NOERROR, answers.records(question, data, local.TTL))


def _nowhere(question: Question, judged: Judged) -> Answer:
    rcode, body = answers.blocked(question, Verdict.NXDOMAIN, answers.NOWHERE, local.TTL, None)
    return _of_ours(question, judged, rcode, body)


def _of_ours(question: Question, judged: Judged, rcode: Rcode, body: bytes) -> Answer:
    attempt = _forwarded(question, judged)
    attempt = attempt and replace(attempt, exposed=DataExposed.NONE)
    labels = Labels(judged.outcome.segment, type_label(question.type))
    return Answer(body, rcode.name, Source.LOCAL, labels, attempt)


def _rebinding(forward: Forward) -> Answer:
    body = answers.records(forward.question, [], local.TTL, REBINDING)
    return Answer(body, "NOERROR", Source.POLICY, forward.labels, forward.attempt)


def _refused_elsewhere(question: Question, judged: Judged, at: datetime, technique: str, verdict: Verdict) -> Answer:
    rcode, body = answers.blocked(question, verdict, answers.NOWHERE, judged.ttl(at), ELSEWHERE)
    labels = Labels(judged.outcome.segment, type_label(question.type))
    return Answer(body, rcode.name, Source.POLICY, labels, bypass=technique)


def _boundaries(forward: Forward, led_to: list[tuple[DomainName, Judged]]) -> list[datetime]:
    return [judged.outcome.valid_until for judged in _along(forward, led_to) if judged.outcome.valid_until]


def _ttls(body: bytes) -> tuple[tuple[int, int], ...]:
    """Times to live in a message that lacks its id."""
    return tuple((offset - 2, ttl) for offset, ttl in times_to_live(bytes(2) + body))
