"""What is said of a name alone: the way DNS asks, and the gate before it has seen more.

A name may stand for another (``copies``), or ask for a way round this resolver (``canaries``).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sumun.model.decision import Decision, Outcome, Reason
from sumun.model.name import DomainName
from sumun.model.request import AccessRequest
from sumun.model.verdict import Verdict
from sumun.policy.canaries import canary
from sumun.policy.copies import copied_by_name
from sumun.policy.engine import Policy
from sumun.policy.verdicts import strictness


class Decides(Protocol):
    """The policy, or whoever remembers what it said."""

    def decide(self, request: AccessRequest, *, at: datetime) -> Outcome:
        """Never raises."""
        ...


def decide_name(policy: Decides, request: AccessRequest, *, at: datetime) -> Outcome:
    """Decide on the host that is asked for and on the one that it shows, if it is a copy: the stricter answer holds."""
    return strictest_reading(policy, request, at=at)[1]


def strictest_reading(policy: Decides, request: AccessRequest, *, at: datetime) -> tuple[AccessRequest, Outcome]:
    """The same, with the request that was answered so."""
    outcome = policy.decide(request, at=at)
    copied = None if request.name is None else copied_by_name(request.name)
    if copied is None:
        return request, outcome
    copy = replace(request, name=copied)
    other = policy.decide(copy, at=at)
    boundary = min((each.valid_until for each in (outcome, other) if each.valid_until), default=None)
    if strictness(other) > strictness(outcome):
        request, outcome = copy, other
    return request, replace(outcome, valid_until=boundary)


def names_the_destination(outcome: Outcome) -> bool:
    """Whether an administrator spoke of this very name, service or list, and not just of everything."""
    if not isinstance(outcome, Decision):
        return False
    return outcome.reason is Reason.EXEMPTION or bool(outcome.rule and outcome.rule.when.names_a_destination)


def refused_canary(policy: Policy, outcome: Outcome, name: DomainName) -> tuple[str, Verdict] | None:
    """The technique that a name asks for, and the answer that says no.

    None: it asks for none, nothing is filtered for this client, or an administrator lets the very name pass. Where a
    rule blocks it, this is still the answer: software that asks takes an address, even ours, for a yes.
    """
    if not policy.rules.get(outcome.segment):
        return None
    if isinstance(outcome, Decision) and outcome.action.lets_through and names_the_destination(outcome):
        return None
    return canary(name)
