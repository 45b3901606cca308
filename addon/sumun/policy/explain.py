"""What each enforcement point would do with a request, said beforehand.

It asks the same decision point and uses the same verdict functions as the enforcement points, each time with only
the facets that the point knows, so it cannot tell another story than they do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sumun.model.decision import Decision, Outcome
from sumun.model.request import UNKNOWN, AccessRequest
from sumun.model.segment import DnsPolicy, FailMode
from sumun.model.verdict import Verdict
from sumun.policy.by_name import decide_name, refused_canary, strictest_reading
from sumun.policy.engine import Policy
from sumun.policy.trace import Step, trace
from sumun.policy.verdicts import dns_verdict, gate_verdict, http_verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision for all that was said of the request, and what each point does knowing its part."""

    outcome: Outcome
    steps: tuple[Step, ...]
    dns: Verdict | None
    """None: nobody asks DNS for an address literal."""
    gate: Verdict
    http: Verdict | None
    """None: it depends on what was not said (see ``outcome.needs``)."""
    by_name: Outcome
    """What DNS and the gate go by."""
    bypass: str | None = None
    """Technique of getting round the filter that the name stands for."""


def explain(policy: Policy, request: AccessRequest, *, at: datetime) -> Explanation:
    """Decide three times, with what DNS, the gate and the http point know of the request."""
    segment = policy.segment_of(request.client)
    by_name = decide_name(policy, by_name_only(request), at=at)
    read_as, outcome = strictest_reading(policy, request, at=at)
    dns = dns_verdict(by_name, segment.dns if segment else DnsPolicy()) if request.name else None
    bypass = outcome.bypass
    if request.name and (found := refused_canary(policy, by_name, request.name)):
        bypass, dns = found
    known = isinstance(outcome, Decision)
    return Explanation(
        outcome=outcome,
        steps=tuple(trace(policy, read_as, at=at)),
        dns=dns,
        gate=gate_verdict(decide_name(policy, replace(by_name_only(request), user=request.user), at=at)),
        http=http_verdict(outcome, segment.on_failure if segment else FailMode.CLOSED) if known else None,
        by_name=by_name,
        bypass=bypass,
    )


def by_name_only(request: AccessRequest) -> AccessRequest:
    """The request as DNS sees it; the gate knows the user besides."""
    return replace(request, method=None, path=UNKNOWN, user=UNKNOWN, model=UNKNOWN, content=UNKNOWN, uploads=UNKNOWN)
