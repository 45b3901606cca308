"""The way a decision was reached, rule by rule: what ``sumun explain`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sumun.model.request import AccessRequest, Facet
from sumun.model.rule import Mode, Rule
from sumun.policy.conditions import missing
from sumun.policy.engine import Policy
from sumun.policy.schedule import holds


class Standing(StrEnum):
    """How a rule stood when it was asked."""

    SETTLED = "settled"
    """It matched and decided."""
    COULD_MATCH = "could match"
    """It would match if what it needs turned out so."""
    SHADOW = "shadow"
    """It matched, and is only counted."""
    OUTSIDE_SCHEDULE = "outside its schedule"
    NO_MATCH = "no match"


@dataclass(frozen=True, slots=True)
class Step:
    """One rule asked."""

    rule: Rule
    standing: Standing
    needs: frozenset[Facet] = frozenset()


def trace(policy: Policy, request: AccessRequest, *, at: datetime) -> Iterator[Step]:
    """Every rule in the order it was asked, up to the one that settled it; nothing for a refused client."""
    segment = policy.segment_of(request.client)
    facts = policy.facts(request)
    for candidate in policy.candidates(segment, request) if segment else ():
        needs = missing(candidate, request, facts)
        step = _step(candidate.rule, needs, at)
        yield step
        if step.standing is Standing.SETTLED:
            return


def _step(rule: Rule, needs: frozenset[Facet] | None, at: datetime) -> Step:
    if needs is None:
        return Step(rule, Standing.NO_MATCH)
    if not holds(rule.schedule, at):
        return Step(rule, Standing.OUTSIDE_SCHEDULE)
    if needs:
        return Step(rule, Standing.COULD_MATCH, needs)
    return Step(rule, Standing.SHADOW if rule.mode is Mode.SHADOW else Standing.SETTLED)
