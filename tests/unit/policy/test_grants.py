"""What is granted while the filter runs: the engine's properties hold with it, and it opens nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.decision import Decision, Reason, Undetermined
from sumun.model.grant import Grant, GrantKind, Subject
from sumun.model.request import AccessRequest, Facet
from sumun.model.rule import Action, Mode
from sumun.model.verdict import Verdict
from sumun.policy.compile import PolicySource, compile_policy
from sumun.policy.engine import Policy
from sumun.policy.explain import explain
from sumun.policy.grants import NOTHING_GRANTED, Grants
from sumun.policy.trace import Standing, trace
from tests.support import reference, strategies
from tests.support.builders import CHATGPT, DEEPSEEK, NOON, policy, request, rule, segment

facets = st.frozensets(st.sampled_from(Facet))
EVENING = NOON + timedelta(hours=8)
type Granted = tuple[PolicySource, list[Grant]]


@settings(max_examples=400, deadline=None)
@given(strategies.granted_sources(), strategies.requests(), strategies.instants)
def test_agrees_with_the_naive_reference(given_: Granted, asked: AccessRequest, at: datetime) -> None:
    source, grants = given_
    decided = compile_policy(source).granting(Grants(grants)).decide(asked, at=at)
    expected = reference.decide(source, asked, at, grants)
    assert isinstance(decided, Decision)
    exemption = decided.exemption and decided.exemption.removeprefix("exemption:")
    passed = decided.grant if decided.reason is not Reason.EXEMPTION else None
    assert (decided.action, (decided.rule and decided.rule.id) or None, exemption, passed) == (
        expected.action, expected.rule, expected.exemption, expected.grant,
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(strategies.granted_sources(), strategies.requests(), strategies.instants, facets)
def test_knowing_more_never_contradicts_what_was_final(
    given_: Granted, asked: AccessRequest, at: datetime, unknown: frozenset[Facet]
) -> None:
    source, grants = given_
    point = compile_policy(source).granting(Grants(grants))
    early, late = point.decide(strategies.forget(asked, unknown), at=at), point.decide(asked, at=at)
    assert isinstance(late, Decision)
    if isinstance(early, Decision):
        assert early.action == late.action
    else:
        assert early.needs <= unknown
        assert late.action in {candidate.action for candidate in early.candidates}


@settings(max_examples=200, deadline=None)
@given(strategies.granted_sources(), strategies.requests(), strategies.instants, st.floats(0, 1, exclude_max=True))
def test_nothing_changes_before_the_boundary_it_announces(
    given_: Granted, asked: AccessRequest, at: datetime, share: float
) -> None:
    source, grants = given_
    point = compile_policy(source).granting(Grants(grants))
    now = point.decide(asked, at=at)
    horizon = now.valid_until or at + timedelta(days=400)
    later = point.decide(asked, at=min(at + (horizon - at) * share, horizon - timedelta(microseconds=1)))
    assert isinstance(now, Decision)
    assert isinstance(later, Decision)
    assert (later.action, later.rule, later.exemption, later.grant) == (now.action, now.rule, now.exemption, now.grant)


@settings(max_examples=200, deadline=None)
@given(strategies.granted_sources(), strategies.requests(), strategies.instants, facets)
def test_clients_that_were_granted_nothing_are_answered_as_before(
    given_: Granted, asked: AccessRequest, at: datetime, unknown: frozenset[Facet]
) -> None:
    """What lets the sinkhole share its answers within a segment."""
    source, grants = given_
    snapshot = Grants([grant for grant in grants if grant.client])
    point, partial = compile_policy(source), strategies.forget(asked, unknown)
    if not snapshot.concern(asked.client):
        assert point.granting(snapshot).decide(partial, at=at) == point.decide(partial, at=at)


def office(**more: Any) -> Policy:
    rules = [
        rule("no-r1", "block", models=("deepseek-r1",)),
        rule("think", "warn", services=["chatgpt", "deepseek"], **more),
    ]
    return policy(segment("office", "10.0.0.0/8", rules=rules), services=[CHATGPT, DEEPSEEK])


def confirmed(**more: Any) -> Grant:
    given_: dict[str, Any] = {
        "id": "A1", "kind": GrantKind.ACKNOWLEDGEMENT, "until": EVENING, "service": "chatgpt",
        "client": ip_network("10.0.0.7"), "segment": "office", "rule": "think",
    } | more  # fmt: skip
    return Grant(**given_)


def action(point: Policy, client: str = "10.0.0.7", name: str = "chatgpt.com", at: datetime = NOON, **more: Any) -> Any:
    asked = request(client, name, **({"model": None, "user": None} | more))
    outcome = point.decide(asked, at=at)
    return outcome.action if isinstance(outcome, Decision) else None


def test_it_lets_one_client_past_one_rule_for_one_service_until_its_end() -> None:
    point = office().granting(Grants([confirmed()]))
    assert action(point) is Action.ALLOW
    assert action(point, at=EVENING - timedelta(microseconds=1)) is Action.ALLOW
    assert action(point, at=EVENING) is Action.WARN
    assert action(point, client="10.0.0.8") is Action.WARN
    assert action(point, name="chat.deepseek.com") is Action.WARN
    assert action(point, model="deepseek-r1") is Action.BLOCK


def test_the_decision_says_which_rule_was_passed_by_what_and_for_how_long() -> None:
    decided = office().granting(Grants([confirmed()])).decide(request("10.0.0.7", "chatgpt.com", model=None), at=NOON)
    assert isinstance(decided, Decision)
    assert decided.rule
    assert (decided.reason, decided.rule.id, decided.rule.action, decided.grant, decided.valid_until) == (
        Reason.ACKNOWLEDGED, "think", Action.WARN, "A1", EVENING,
    )  # fmt: skip
    assert decided.concerns_ai


@pytest.mark.parametrize(
    "other",
    [
        {"kind": GrantKind.JUSTIFICATION}, {"segment": "lab"}, {"rule": "no-r1"}, {"rule": ""},
        {"service": "", "name": "www.chatgpt.com"}, {"client": None, "user": "kim"},
    ],
    ids=str,
)  # fmt: skip
def test_what_was_given_for_something_else_does_not_count(other: dict[str, Any]) -> None:
    assert action(office().granting(Grants([confirmed(**other)]))) is Action.WARN


def test_it_does_not_outlive_the_rules_own_question() -> None:
    """A rule that warned and now blocks, or asks why, or names an approver, is not passed by what was given before."""
    justified = confirmed(kind=GrantKind.JUSTIFICATION)
    for ask, grant, expected in (
        ("block", confirmed(), Action.BLOCK),
        ("justify", confirmed(), Action.JUSTIFY),
        ("justify", justified, Action.ALLOW),
    ):
        rules = [rule("think", ask, services=["chatgpt"])]
        point = policy(segment("office", "10.0.0.0/8", rules=rules), services=[CHATGPT])
        assert action(point.granting(Grants([grant]))) is expected
    approved = [rule("think", "justify", services=["chatgpt"], approver="park")]
    point = policy(segment("office", "10.0.0.0/8", rules=approved), services=[CHATGPT])
    assert action(point.granting(Grants([justified]))) is Action.JUSTIFY
    assert action(point.granting(Grants([replace(justified, approver="park")]))) is Action.ALLOW


def test_a_rule_in_shadow_mode_is_not_turned_into_a_pass() -> None:
    shadowed = office(mode=Mode.SHADOW).rules["office"][1].rule
    strict = policy(
        segment("office", "10.0.0.0/8", rules=[shadowed, rule("no", "block", services=["chatgpt"])]), services=[CHATGPT]
    )
    assert action(strict.granting(Grants([confirmed()]))) is Action.BLOCK


def test_a_segments_default_can_be_passed_for_a_host_of_no_service() -> None:
    point = policy(segment("office", "10.0.0.0/8", default=Action.WARN), services=[CHATGPT])
    given_ = confirmed(rule="", service="", name="new-ai.example")
    granted = point.granting(Grants([given_]))
    assert action(granted, name="new-ai.example") is Action.ALLOW
    assert action(granted, name="other-ai.example") is Action.WARN


def test_a_users_grant_leaves_dns_undetermined_and_http_decides() -> None:
    point = policy(
        segment("office", "10.0.0.0/8", rules=[rule("think", "warn", services=["chatgpt"])]), services=[CHATGPT]
    ).granting(Grants([confirmed(client=None, user="kim")]))
    early = point.decide(request("10.0.0.9", "chatgpt.com"), at=NOON)
    assert isinstance(early, Undetermined)
    assert early.needs == {Facet.USER}
    assert action(point, client="10.0.0.9", user="kim") is Action.ALLOW
    assert action(point, client="10.0.0.9", user="lee") is Action.WARN


def test_the_gate_splices_what_was_confirmed_and_dns_no_longer_steers() -> None:
    rules = [rule("think", "warn", services=["chatgpt"])]
    point = policy(segment("office", "10.0.0.0/8", rules=rules), services=[CHATGPT])
    asked = request("10.0.0.7", "chatgpt.com")
    before = explain(point, asked, at=NOON)
    after = explain(point.granting(Grants([confirmed()])), asked, at=NOON)
    assert (before.dns, before.gate, before.http) == (Verdict.STEERED, Verdict.INTERCEPTED, Verdict.WARN_PAGE)
    assert (after.dns, after.gate, after.http) == (Verdict.FORWARDED, Verdict.SPLICED, Verdict.FORWARDED)


def test_the_trace_names_it() -> None:
    steps = list(trace(office().granting(Grants([confirmed()])), request("10.0.0.7", "chatgpt.com"), at=NOON))
    assert [(step.rule.id, step.standing) for step in steps] == [
        ("no-r1", Standing.COULD_MATCH), ("acknowledgement:A1", Standing.SETTLED),
    ]  # fmt: skip


def test_an_ipv4_mapped_client_holds_what_the_ipv4_client_holds() -> None:
    assert action(office().granting(Grants([confirmed()])), client="::ffff:10.0.0.7") is Action.ALLOW


def test_an_exemption_of_a_network_holds_for_all_in_it() -> None:
    point = office().granting(
        Grants([Grant("E1", GrantKind.EXEMPTION, EVENING, "deepseek", client=ip_network("10.1.0.0/16"))])
    )
    assert action(point, client="10.1.2.3", name="chat.deepseek.com", model="deepseek-r1") is Action.ALLOW
    assert action(point, client="10.2.0.1", name="chat.deepseek.com") is Action.WARN


def test_nothing_granted_costs_nothing() -> None:
    point = office()
    found = point.segment_of(ip_address("10.0.0.7"))
    assert found
    assert not NOTHING_GRANTED
    assert point.candidates(found, request("10.0.0.7", "chatgpt.com")) is point.rules["office"]


def test_it_knows_who_waits() -> None:
    subject = Subject(ip_address("10.0.0.7"), "office", "why", "chatgpt")
    grants = Grants((), {subject: True})
    assert grants.answer(subject) is True
    assert grants.answer(replace(subject, service="deepseek")) is None


def test_an_exemption_of_a_group_is_for_whoever_is_in_it() -> None:
    exempt = Grant("G1", GrantKind.EXEMPTION, NOON + timedelta(hours=1), "chatgpt", user="group:research")
    rules = [rule("no-ai", "block", categories=["*"])]
    point = policy(segment("office", "10.0.0.0/8", rules=rules), services=[CHATGPT]).granting(Grants([exempt]))
    assert action(point, client="10.0.0.9", user="kim", groups=frozenset({"research"})) is Action.ALLOW
    assert action(point, client="10.0.0.9", user="kim", groups=frozenset({"staff"})) is Action.BLOCK
    assert action(point, client="10.0.0.9", user=None) is Action.BLOCK
