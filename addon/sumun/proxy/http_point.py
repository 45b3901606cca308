"""What is done with one decrypted request: ask, enforce, tell."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from mitmproxy import http

from sumun.content.llm_request import LIMIT, LlmRequest, from_head
from sumun.model.decision import Decision, Outcome, Undetermined
from sumun.model.event import AccessDecided, Context
from sumun.model.name import DomainName, IPAddress
from sumun.model.organisation import Organisation
from sumun.model.request import UNKNOWN, AccessRequest, Facet
from sumun.model.rule import IPNetwork
from sumun.model.segment import Authenticate, FailMode, Handling, Segment
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.pages.offer import Offer
from sumun.pages.render import Asked, Failure, Page
from sumun.policy.copies import with_copied
from sumun.policy.engine import Policy
from sumun.policy.verdicts import PAGES, http_verdict
from sumun.proxy import enforce, translate
from sumun.proxy.discovery import as_unknown_api, is_unknown_api, may_be_unknown_api
from sumun.proxy.exchanges import ASKED
from sumun.proxy.exchanges import Asked as Questions
from sumun.proxy.hygiene import Flaw
from sumun.proxy.ports import Pages
from sumun.proxy.ruling import SMUGGLING, Ruling, decide_all
from sumun.proxy.telling import Teller
from sumun.proxy.translate import Flow, Problem

logger = logging.getLogger(__name__)

_IN_THE_BODY = frozenset({Facet.MODEL, Facet.UPLOADS})
"""What a look at the body can still settle."""
_STATUS = {
    Problem.HOST_MISMATCH: 400,
    Problem.MALFORMED: 400,
    Problem.MISDIRECTED: 421,
    Problem.DNS_OVER_HTTPS: 403,
}
_BYPASS = {
    Problem.HOST_MISMATCH: "host_mismatch",
    Problem.DNS_OVER_HTTPS: "dns_over_https",
    Problem.MALFORMED: SMUGGLING,
}
"""Problems that look like attempts to get round the filter, and the technique."""
_OF_THE_HOST = frozenset({Problem.MISDIRECTED, Problem.DNS_OVER_HTTPS})
"""Problems that matter only where policy would let the request pass: else its page is shown."""


class FailurePages(Protocol):
    """Shows why there is no answer though no rule forbids one."""

    def __call__(
        self,
        asked: Asked,
        *,
        kind: Failure,
        organisation: Organisation,
        incident: str,
        at: datetime,
        segment: Segment | None,
    ) -> Page:
        """Make the answer; all of ``asked`` is hostile text."""
        ...


class Offers(Protocol):
    """Makes the form with which somebody can go on, or ask."""

    def offer(
        self, flow: Flow, request: AccessRequest, decision: Decision, incident: str, at: datetime
    ) -> Offer | None:
        """Make it for this page; None where there is nothing to ask for."""
        ...


@dataclass(frozen=True, slots=True)
class _Case:
    """One request while it is dealt with."""

    flow: Flow
    client: IPAddress
    segment: Segment | None
    ruling: Ruling
    at: datetime
    bypass: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be done with one request, before it is done."""

    case: _Case
    policy: Policy
    requests: Sequence[AccessRequest]
    problem: Problem | None
    """Why it is refused whatever policy says."""
    judged: DomainName | IPAddress | None
    """The one host that it is for."""

    @property
    def is_page(self) -> bool:
        """Whether its head was enough to stop it, and a page (or what a program gets instead) says so."""
        outcome = self.case.ruling.outcome
        return self.problem is None and _stops(outcome) and http_verdict(outcome, FailMode.CLOSED) in PAGES


@dataclass(frozen=True, slots=True)
class HttpPoint:
    """Settles requests."""

    teller: Teller
    organisation: Callable[[], Organisation]
    pages: Pages
    failure_pages: FailurePages
    offers: Offers | None = None

    def read_head(self, flow: Flow, trusted: tuple[IPNetwork, ...]) -> LlmRequest:
        """Say what is certain before the body is seen, once what a listed parent tells of the client is taken down."""
        request = flow.request
        enforce.without_upgrade_to_h2c(request)
        translate.told(flow, trusted)
        return from_head(request.method, request.path.partition("?")[0], request.headers.get("content-type", ""))

    def settle(self, flow: Flow, facts: LlmRequest, *, whole: bool) -> bool:
        """Decide and enforce; False: the body must be seen first (never, if the request is ``whole``)."""
        duration = self.teller.metrics.decision_duration.labels(Point.HTTP)
        return self.act(self.judge(flow, facts, duration.time()), facts, whole=whole)

    def judge(self, flow: Flow, facts: LlmRequest, timer: AbstractContextManager[object]) -> Judgement:
        """Decide; nobody is told of it, and nothing is counted. ``timer`` takes the time of it."""
        said = translate.authorities(flow)
        client = translate.client_address(flow)
        policy, at = self.teller.policy(), self.teller.clock()
        with timer:
            hosts = with_copied(said.hosts, flow.request.path)
            requests = translate.access_requests(flow, client, hosts, facts)
            ruling = decide_all(policy, requests, at=at)
        problem = said.problem or self._problem(flow, client)
        case = _Case(flow, client, policy.segment_of(client), ruling, at, _BYPASS.get(problem) if problem else None)
        if problem in _OF_THE_HOST and _stops(ruling.outcome):
            problem = None
        return Judgement(case, policy, requests, problem, said.judged)

    def act(self, judgement: Judgement, facts: LlmRequest, *, whole: bool) -> bool:
        """Enforce, count and tell; False: the body must be seen first."""
        case, requests = judgement.case, judgement.requests
        flow, ruling = case.flow, case.ruling
        if judgement.problem:
            self._refuse(case, judgement.problem)
            return True
        if not whole and (self._body_matters(flow, ruling.outcome) or may_be_unknown_api(flow, ruling)):
            return False
        if judgement.judged:
            enforce.name_plainly(flow.request, judgement.judged)
        if whole and is_unknown_api(flow, ruling, facts):
            self.teller.metrics.llm_apis_discovered.labels(ruling.outcome.segment).inc()
            case = replace(case, ruling=as_unknown_api(judgement.policy, ruling, at=case.at))
        self._enforce(case)
        if ruling.is_logged and not flow.response:
            flow.metadata[ASKED] = Questions(requests, ruling.outcome.valid_until)
        return True

    def depends_on_user(self, flow: Flow, client: IPAddress, *, tunnel: bool) -> bool:
        """Whether it makes a difference to this request, or CONNECT, who the user is."""
        hosts = translate.authorities(flow).hosts if not tunnel else (translate.host(flow.request.host),)
        facts = from_head(flow.request.method, flow.request.path.partition("?")[0], "")
        requests = translate.access_requests(flow, client, hosts, facts)
        asked = [replace(request, user=UNKNOWN, path=UNKNOWN if tunnel else request.path) for request in requests]
        outcomes = [self.teller.policy().decide(request, at=self.teller.clock()) for request in asked]
        return any(isinstance(outcome, Undetermined) and Facet.USER in outcome.needs for outcome in outcomes)

    def fail(self, flow: Flow) -> None:
        """Something of ours failed: end the request as the client's segment says."""
        try:
            _, mode = self.teller.failed(Point.HTTP, translate.client_address(flow))
        except Exception:
            logger.exception("finding the client failed")
            mode = FailMode.CLOSED
        if mode is FailMode.CLOSED:
            flow.request.stream = False  # mitmproxy takes no response for a request that it streams
            enforce.bare(flow, 403, "stopped: the filter could not check this request")

    def upstream_failed(self, flow: Flow, why: str) -> http.Response | None:
        """The page of an origin that cannot be reached, or that does not prove who it is; None: there is none."""
        badly_signed = why.lower().startswith("certificate verify failed")
        kind = Failure.UPSTREAM_CERTIFICATE if badly_signed else Failure.UPSTREAM_UNREACHABLE
        try:
            client = translate.client_address(flow)
            self.teller.upstream_failed(client, "certificate" if badly_signed else "unreachable")
            page = self.failure_pages(
                translate.asked(flow), kind=kind, organisation=self.organisation(), incident="",
                at=self.teller.clock(), segment=self.teller.policy().segment_of(client),
            )  # fmt: skip
            return enforce.response(page)
        except Exception:
            logger.exception("making a page failed")
            return None

    def too_large(self, flow: Flow) -> None:
        """Refuse a body that was thrown away: nothing could be forwarded."""
        enforce.bare(flow, 413, "stopped: the request is larger than the filter can look at")

    def lying(self, flow: Flow) -> None:
        """Refuse a body with two ends, found when the head was settled already."""
        self.teller.bypass(translate.client_address(flow), SMUGGLING)
        enforce.bare(flow, 400, f"refused: {Flaw.FRAMING}")

    def _problem(self, flow: Flow, client: IPAddress) -> Problem | None:
        if not translate.is_dns_over_https(flow.request):
            return None
        refused = self.teller.proxy_policy(client).dns_over_https is Handling.REFUSE
        return Problem.DNS_OVER_HTTPS if refused else None

    def _body_matters(self, flow: Flow, outcome: Outcome) -> bool:
        if isinstance(outcome, Decision) or outcome.needs.isdisjoint(_IN_THE_BODY):
            return False
        size = translate.declared_size(flow.request)
        return size is None or size <= LIMIT

    def _enforce(self, case: _Case) -> None:
        outcome = case.ruling.outcome
        verdict = http_verdict(outcome, case.segment.on_failure if case.segment else FailMode.CLOSED)
        if isinstance(outcome, Undetermined):
            self.teller.failed(Point.HTTP, case.client)
        self._count(outcome)
        match verdict:
            case Verdict.FORWARDED if _nameless(case):
                self._tell(case, Verdict.REFUSED, DataExposed.NONE)
                enforce.bare(case.flow, 403, "this network's users name themselves to the proxy: configure it as one")
            case Verdict.FORWARDED:
                self._forward(case)
            case Verdict.REFUSED:
                self._tell(case, verdict, DataExposed.NONE)
                enforce.bare(case.flow, 403, "this network may not use this proxy")
            case Verdict.CLOSED:
                self._fail_visibly(case, Failure.FILTER, verdict)
            case _ if isinstance(outcome, Decision):
                self._show_page(case, outcome, verdict)

    def _forward(self, case: _Case) -> None:
        request, outcome = case.flow.request, case.ruling.outcome
        exposed = DataExposed.REQUEST_BODY if _has_body(request) else DataExposed.REQUEST_HEADERS
        self._tell(case, Verdict.FORWARDED, exposed)
        if isinstance(outcome, Decision) and outcome.rule:
            enforce.keep_to_tenant(request, outcome.rule)

    def _show_page(self, case: _Case, decision: Decision, verdict: Verdict) -> None:
        incident = self._tell(case, verdict, DataExposed.NONE)
        try:
            page = self.pages(
                translate.asked(case.flow), decision, segment=case.segment, organisation=self.organisation(),
                incident=incident, at=case.at, data_exposed=DataExposed.NONE,
                offer=self._offer(case, decision, incident),
            )  # fmt: skip
            case.flow.response = enforce.response(page)
        except Exception:  # the decision stands, shown or not
            logger.exception("making a page failed")
            self.teller.failed(Point.HTTP, case.client)
            enforce.bare(case.flow, 403, f"blocked by the rules of this network (incident {incident})")

    def _offer(self, case: _Case, decision: Decision, incident: str) -> Offer | None:
        if self.offers is None:
            return None
        return self.offers.offer(case.flow, case.ruling.request, decision, incident, case.at)

    def _fail_visibly(self, case: _Case, kind: Failure, verdict: Verdict) -> None:
        incident = self._tell(case, verdict, DataExposed.NONE)
        try:
            page = self.failure_pages(
                translate.asked(case.flow), kind=kind, organisation=self.organisation(), incident=incident, at=case.at,
                segment=case.segment,
            )  # fmt: skip
            case.flow.response = enforce.response(page)
        except Exception:
            logger.exception("making a page failed")
            self.teller.failed(Point.HTTP, case.client)
            enforce.bare(case.flow, 403, f"stopped: {kind.value} (incident {incident})")

    def _refuse(self, case: _Case, problem: Problem) -> None:
        """Refuse whatever policy says; the request's own names are not worth a page."""
        if case.bypass and not case.ruling.is_logged:  # what is recorded is counted there
            self.teller.metrics.bypass_attempts.labels(case.ruling.outcome.segment, case.bypass).inc()
        self._count(case.ruling.outcome)
        self._tell(case, Verdict.REFUSED, DataExposed.NONE)
        enforce.bare(case.flow, _STATUS[problem], f"refused: {problem.value}")

    def _count(self, outcome: Outcome) -> None:
        action = outcome.action.value if isinstance(outcome, Decision) else "undetermined"
        self.teller.metrics.proxy_requests.labels(outcome.segment, action).inc()

    def _tell(self, case: _Case, verdict: Verdict, exposed: DataExposed) -> str:
        if not case.ruling.is_logged:
            return ""
        request, outcome = case.flow.request, case.ruling.outcome
        context = Context(
            protocol="https" if request.scheme == "https" else "http",
            server_name=case.flow.client_conn.sni,
            user_agent=request.headers.get("user-agent"),
            bypass=case.bypass,
            failure=isinstance(outcome, Undetermined),
        )
        event = AccessDecided(case.at, Point.HTTP, case.ruling.request, outcome, verdict, exposed, context)
        return self.teller.record(event)


def _nameless(case: _Case) -> bool:
    """Whether a name was required where nobody could be asked for one: a client that is not configured to use us."""
    required = case.segment is not None and case.segment.proxy.authenticate is Authenticate.REQUIRED
    return required and translate.USER not in case.flow.metadata


def _stops(outcome: Outcome) -> bool:
    return isinstance(outcome, Decision) and not outcome.action.lets_through


def _has_body(request: http.Request) -> bool:
    """Whether more than the head leaves; after an upgrade (WebSocket) anything may."""
    return "upgrade" in request.headers or bool(request.raw_content) or translate.declared_size(request) != 0
