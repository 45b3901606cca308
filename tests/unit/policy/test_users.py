"""Rules that name users and groups, at points that know them and at those that do not."""

from __future__ import annotations

import pytest

from sumun.model.decision import Decision, Undetermined
from sumun.model.request import Facet
from sumun.model.rule import Action
from sumun.model.segment import DnsPolicy
from sumun.model.verdict import Verdict
from sumun.policy.explain import explain
from sumun.policy.verdicts import dns_verdict
from tests.support.builders import DEEPSEEK, NOON, policy, request, rule, segment

RULES = [
    rule("research-may", "allow", services=["deepseek"], users=["kim", "group:research"]),
    rule("nobody-else", "block", services=["deepseek"]),
]
POINT = policy(segment("hq", "10.0.0.0/8", rules=RULES), services=[DEEPSEEK])


@pytest.mark.parametrize(
    ("user", "groups", "action"),
    [
        ("kim", set(), Action.ALLOW),
        ("lee", {"research"}, Action.ALLOW),
        ("lee", {"staff"}, Action.BLOCK),
        ("research", set(), Action.BLOCK),
        (None, set(), Action.BLOCK),
    ],
)
def test_one_of_them_is_enough(user: str | None, groups: set[str], action: Action) -> None:
    asked = request("10.0.0.1", "deepseek.com", user=user, groups=frozenset(groups))
    outcome = POINT.decide(asked, at=NOON)
    assert isinstance(outcome, Decision)
    assert outcome.action is action


def test_dns_knows_nobody_and_leads_to_the_proxy() -> None:
    outcome = POINT.decide(request("10.0.0.1", "deepseek.com"), at=NOON)
    assert isinstance(outcome, Undetermined)
    assert outcome.needs == {Facet.USER}
    assert dns_verdict(outcome, DnsPolicy()) is Verdict.STEERED


def test_explain_says_what_each_point_does_for_a_user() -> None:
    told = explain(POINT, request("10.0.0.1", "deepseek.com", user="kim"), at=NOON)
    assert (told.dns, told.gate, told.http) == (Verdict.STEERED, Verdict.SPLICED, Verdict.FORWARDED)
    told = explain(POINT, request("10.0.0.1", "deepseek.com", user=None), at=NOON)
    assert (told.dns, told.gate, told.http) == (Verdict.STEERED, Verdict.INTERCEPTED, Verdict.BLOCK_PAGE)
