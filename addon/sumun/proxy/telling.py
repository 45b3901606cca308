"""Asking policy and telling what became of it, the same way at the gate and at the http point.

Rule 1: a failure of ours ends as the client's segment says, is counted, and never ends in an exception.
Rule 2: a verdict that stands is enforced even where it cannot be told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from prometheus_client import Counter

from sumun.model.decision import Undetermined
from sumun.model.event import AccessDecided, Context, Events
from sumun.model.name import DomainName, IPAddress
from sumun.model.request import AccessRequest, Unknown
from sumun.model.segment import UNKNOWN_SEGMENT, FailMode, ProxyPolicy
from sumun.model.user import Identity
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.policy.engine import Policy
from sumun.proxy.destination import Destination
from sumun.proxy.memo import Key, Memo
from sumun.proxy.ruling import GateRuling, Ruling, gate_ruling
from sumun.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)
_STRICT = ProxyPolicy()
_OUTCOMES = {
    Verdict.SPLICED: "spliced",
    Verdict.INTERCEPTED: "intercepted",
    Verdict.REFUSED: "refused",
    Verdict.CLOSED: "failed",
}


class Teller:
    """Holds the policy, the clock and where to tell."""

    def __init__(
        self,
        *,
        policy: Callable[[], Policy],
        events: Events,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self.policy = policy
        self.clock = clock
        self.metrics = metrics
        self._events = events
        self._memo = Memo()
        self._connections: dict[tuple[str, Verdict], Counter] = {}
        """A counter for each segment and outcome: to find it by its labels costs more than to count."""

    def rule_at_gate(
        self,
        client: IPAddress,
        destination: Destination | None,
        server_name: DomainName | IPAddress | None = None,
        who: Identity | Unknown | None = None,
    ) -> GateRuling:
        """Ask at the gate; where that fails, splice or close as the segment says."""
        try:
            policy, at = self.policy(), self.clock()
            key: Key = client, destination, server_name, who
            return self._memo.recall(policy, key, at) or self._memo.learn(
                policy, key, at, lambda: self._decide(policy, client, destination, server_name, at, who)
            )
        except Exception:
            logger.exception("deciding failed")
            segment, mode = self.failed(Point.GATE, client)
            unknown = Undetermined(frozenset(), segment, ())
            verdict = Verdict.SPLICED if mode is FailMode.OPEN else Verdict.CLOSED
            asked = Ruling(AccessRequest(client, None), unknown)
            return GateRuling(asked, verdict, failure=True, how=self.proxy_policy(client))

    def proxy_policy(self, client: IPAddress) -> ProxyPolicy:
        """How the client's segment wants doubtful connections handled; strictly, where nobody can tell."""
        try:
            segment = self.policy().segment_of(client)
        except Exception:
            logger.exception("finding the segment failed")
            segment = None
        return segment.proxy if segment else _STRICT

    def knows(self, client: IPAddress) -> bool:
        """Whether the client is in any segment."""
        return self._segment_name(client) != UNKNOWN_SEGMENT

    def _decide(
        self,
        policy: Policy,
        client: IPAddress,
        destination: Destination | None,
        server_name: DomainName | IPAddress | None,
        at: datetime,
        who: Identity | Unknown | None,
    ) -> GateRuling:
        with self.metrics.decision_duration.labels(Point.GATE).time():
            return gate_ruling(policy, client, destination, server_name, who, at=at)

    def failed(self, point: Point, client: IPAddress) -> tuple[str, FailMode]:
        """Count a failure of ours; returns the client's segment and what it wants done."""
        name, mode = UNKNOWN_SEGMENT, FailMode.CLOSED
        try:
            if segment := self.policy().segment_of(client):
                name, mode = segment.name, segment.on_failure
        except Exception:
            logger.exception("finding the segment failed")
        self.metrics.failure_decisions.labels(point, name, mode).inc()
        return name, mode

    def upstream_failed(self, client: IPAddress, reason: str) -> None:
        """Count a request that no origin answered."""
        self.metrics.proxy_upstream_failures.labels(self._segment_name(client), reason).inc()

    def record(self, event: AccessDecided) -> str:
        """Record an event and return its id, the incident id of a page; empty where it could not be recorded."""
        try:
            return self._events.record(event)
        except Exception:
            logger.exception("recording an event failed")
            self.failed(event.point, event.request.client)
            return ""

    def bypass(self, client: IPAddress, technique: str) -> None:
        """Count an attempt to get round the filter that leads nowhere else than where it should."""
        self.metrics.bypass_attempts.labels(self._segment_name(client), technique).inc()

    def authentication(self, client: IPAddress, outcome: str) -> None:
        """Count what came of asking who somebody is."""
        self.metrics.authentications.labels(self._segment_name(client), outcome).inc()

    def connection(self, ruling: GateRuling | None, client: IPAddress, verdict: Verdict) -> None:
        """Count what became of a connection."""
        segment = ruling.ruling.outcome.segment if ruling else self._segment_name(client)
        counter = self._connections.get((segment, verdict))
        if counter is None:
            counter = self.metrics.proxy_connections.labels(segment, _OUTCOMES.get(verdict, "failed"))
            self._connections[segment, verdict] = counter
        counter.inc()

    def ended_at_gate(
        self,
        ruling: GateRuling,
        verdict: Verdict,
        exposed: DataExposed,
        *,
        server_name: DomainName | IPAddress | str | None = None,
        bypass: str | None = None,
        pinned: bool = False,
    ) -> None:
        """Tell of a connection that goes no further than the gate."""
        outcome = ruling.ruling.outcome
        bypass = bypass or ruling.bypass or outcome.bypass
        logged = ruling.ruling.is_logged and not ruling.failure
        if bypass and not logged:  # what is recorded is counted there
            self.metrics.bypass_attempts.labels(outcome.segment, bypass).inc()
        if logged:
            name = str(server_name) if server_name else None
            context = Context(protocol="tls", server_name=name, bypass=bypass, pinned=pinned)
            self.record(
                AccessDecided(self.clock(), Point.GATE, ruling.ruling.request, outcome, verdict, exposed, context)
            )

    def _segment_name(self, client: IPAddress) -> str:
        try:
            segment = self.policy().segment_of(client)
        except Exception:
            logger.exception("finding the segment failed")
            return UNKNOWN_SEGMENT
        return segment.name if segment else UNKNOWN_SEGMENT
