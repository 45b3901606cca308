"""The trace ends at the rule that the decision names."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.decision import Decision
from sumun.model.request import AccessRequest, Facet
from sumun.policy.compile import PolicySource, compile_policy
from sumun.policy.trace import Standing, trace
from tests.support import strategies


@settings(max_examples=200, deadline=None)
@given(strategies.sources(), strategies.requests(), strategies.instants, st.frozensets(st.sampled_from(Facet)))
def test_the_trace_tells_the_same_story_as_the_decision(
    source: PolicySource, asked: AccessRequest, at: datetime, unknown: frozenset[Facet]
) -> None:
    policy, partial = compile_policy(source), strategies.forget(asked, unknown)
    outcome, steps = policy.decide(partial, at=at), list(trace(policy, partial, at=at))
    settled = [step.rule for step in steps if step.standing is Standing.SETTLED]
    shadows = [step.rule for step in steps if step.standing is Standing.SHADOW]
    assert tuple(shadows) == outcome.shadows
    if isinstance(outcome, Decision):
        named = outcome.exemption or (outcome.rule.id if outcome.rule else None)
        assert [rule.id for rule in settled] == ([named] if named else [])
    else:
        could = [step.rule for step in steps if step.standing is Standing.COULD_MATCH and step.rule.mode == "enforce"]
        assert (*could, *settled) == outcome.candidates[: len(could) + len(settled)]
