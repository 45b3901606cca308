"""The properties of the decision point, and the cases a reader should know."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.decision import Decision, Reason, Undetermined
from sumun.model.request import AccessRequest, Facet
from sumun.model.rule import Action, Exemption, Mode
from sumun.model.schedule import Schedule
from sumun.model.segment import UNKNOWN_SEGMENT
from sumun.policy.compile import PolicySource, compile_policy
from sumun.policy.schedule import holds
from tests.support import reference, strategies
from tests.support.builders import (
    CHATGPT,
    DEEPSEEK,
    NOON,
    exact,
    policy,
    request,
    rule,
    segment,
    service,
    shared,
    three_segments,
)

facets = st.frozensets(st.sampled_from(Facet))


@settings(max_examples=400, deadline=None)
@given(strategies.sources(), strategies.requests(), strategies.instants)
def test_agrees_with_the_naive_reference(source: PolicySource, asked: AccessRequest, at: datetime) -> None:
    decided = compile_policy(source).decide(asked, at=at)
    expected = reference.decide(source, asked, at)
    assert isinstance(decided, Decision)
    exemption = decided.exemption and decided.exemption.removeprefix("exemption:")
    assert (decided.action, decided.rule and decided.rule.id, exemption) == (
        expected.action, expected.rule, expected.exemption,
    )  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(strategies.sources(), strategies.requests(), strategies.instants, facets)
def test_knowing_more_never_contradicts_what_was_final(
    source: PolicySource, asked: AccessRequest, at: datetime, unknown: frozenset[Facet]
) -> None:
    point = compile_policy(source)
    early, late = point.decide(strategies.forget(asked, unknown), at=at), point.decide(asked, at=at)
    assert isinstance(late, Decision)
    if isinstance(early, Decision):
        tenant = early.rule.tenant if early.rule else ()
        assert (early.action, tenant) == (late.action, late.rule.tenant if late.rule else ())
    else:
        assert early.needs
        assert early.needs <= unknown
        assert late.action in {candidate.action for candidate in early.candidates}


@settings(max_examples=100, deadline=None)
@given(strategies.sources(), strategies.requests(), strategies.instants, facets)
def test_is_deterministic_and_total(
    source: PolicySource, asked: AccessRequest, at: datetime, unknown: frozenset[Facet]
) -> None:
    partial = strategies.forget(asked, unknown)
    assert compile_policy(source).decide(partial, at=at) == compile_policy(source).decide(partial, at=at)


@settings(max_examples=200, deadline=None)
@given(strategies.sources(), strategies.requests(), strategies.instants)
def test_a_rule_outside_its_hours_or_dates_never_settles_anything(
    source: PolicySource, asked: AccessRequest, at: datetime
) -> None:
    decided = compile_policy(source).decide(asked, at=at)
    assert isinstance(decided, Decision)
    for matched in (*((decided.rule,) if decided.rule else ()), *decided.shadows):
        assert holds(matched.schedule, at)


@settings(max_examples=200, deadline=None)
@given(strategies.sources(), strategies.requests(), strategies.instants, facets, st.floats(0, 1, exclude_max=True))
def test_nothing_changes_before_the_boundary_it_announces(
    source: PolicySource, asked: AccessRequest, at: datetime, unknown: frozenset[Facet], share: float
) -> None:
    point, partial = compile_policy(source), strategies.forget(asked, unknown)
    now = point.decide(partial, at=at)
    horizon = now.valid_until or at + timedelta(days=400)
    later = point.decide(partial, at=min(at + (horizon - at) * share, horizon - datetime.resolution))
    assert _essence(later) == _essence(now)


def _essence(outcome: Decision | Undetermined) -> object:
    if isinstance(outcome, Decision):
        return outcome.action, outcome.rule, outcome.exemption, outcome.shadows
    return outcome.needs, outcome.candidates, outcome.shadows


def test_one_name_is_decided_by_the_segment_of_its_client() -> None:
    point = three_segments()
    actions = {
        client: point.decide(request(client, "chat.deepseek.com"), at=NOON).action  # type: ignore[union-attr]  # final: nothing inside is asked
        for client in ("127.0.0.1", "127.0.0.2", "127.0.0.3")
    }
    assert actions == {"127.0.0.1": Action.ALLOW, "127.0.0.2": Action.BLOCK, "127.0.0.3": Action.BLOCK}


def test_a_client_of_no_segment_is_refused_and_told_why() -> None:
    decided = three_segments().decide(request("192.0.2.1", "example.org"), at=NOON)
    assert isinstance(decided, Decision)
    assert (decided.action, decided.reason, decided.segment) == (Action.BLOCK, Reason.UNKNOWN_CLIENT, UNKNOWN_SEGMENT)


def test_an_ipv4_mapped_client_is_the_ipv4_client() -> None:
    decided = three_segments().decide(request("::ffff:127.0.0.3", "chatgpt.com"), at=NOON)
    assert decided.segment == "military-use"


def test_a_model_rule_leaves_dns_undetermined_and_http_decides() -> None:
    point = policy(
        segment("lab", "10.0.0.0/8", rules=[rule("no-r1", "block", models=("deepseek*",))]), services=[CHATGPT]
    )
    early = point.decide(request("10.0.0.1", "chatgpt.com"), at=NOON)
    assert isinstance(early, Undetermined)
    assert early.needs == {Facet.MODEL}
    late = point.decide(request("10.0.0.1", "chatgpt.com", model="DeepSeek-R1"), at=NOON)
    assert isinstance(late, Decision)
    assert late.action is Action.BLOCK


def test_a_content_rule_never_reaches_hosts_outside_the_catalogue() -> None:
    point = policy(
        segment("lab", "10.0.0.0/8", rules=[rule("no-ids", "block", content=["kr-rrn"])]), services=[CHATGPT]
    )
    decided = point.decide(request("10.0.0.1", "bank.example"), at=NOON)
    assert isinstance(decided, Decision)
    assert decided.action is Action.ALLOW
    assert not decided.concerns_ai


def test_rules_that_would_all_do_the_same_make_it_final() -> None:
    rules = [rule("r1", "block", models=("x*",)), rule("rest", "block", services=["chatgpt"])]
    decided = policy(segment("lab", "10.0.0.0/8", rules=rules), services=[CHATGPT]).decide(
        request("10.0.0.1", "chatgpt.com"), at=NOON
    )
    assert isinstance(decided, Decision)
    assert decided.rule is rules[1]


def test_an_exemption_wins_until_its_end_and_not_a_second_longer() -> None:
    until = datetime(2026, 1, 9, tzinfo=UTC)
    from ipaddress import ip_network

    exempt = Exemption("visit", "deepseek", until, client=ip_network("127.0.0.3/32"))
    point = three_segments(exemptions=[exempt])
    asked = request("127.0.0.3", "chat.deepseek.com")
    before, after = point.decide(asked, at=until - timedelta(seconds=1)), point.decide(asked, at=until)
    assert isinstance(before, Decision)
    assert isinstance(after, Decision)
    assert (before.action, before.reason, before.valid_until) == (Action.ALLOW, Reason.EXEMPTION, until)
    assert (after.action, after.reason, after.valid_until) == (Action.BLOCK, Reason.RULE, None)


def test_a_shadow_rule_is_reported_and_does_not_act() -> None:
    ghost = rule("try-out", "block", services=["deepseek"], mode=Mode.SHADOW)
    decided = policy(segment("hq", "10.0.0.0/8", rules=[ghost]), services=[DEEPSEEK]).decide(
        request("10.0.0.1", "deepseek.com"), at=NOON
    )
    assert isinstance(decided, Decision)
    assert (decided.action, decided.shadows) == (Action.ALLOW, (ghost,))


def test_a_shared_domain_belongs_to_the_service_only_under_its_paths() -> None:
    copilot = service("copilot", shared("bing.example", "/chat"), country="US")
    point = policy(segment("hq", "10.0.0.0/8", rules=[rule("no", "block", services=["copilot"])]), services=[copilot])
    by_path = {
        path: point.decide(request("10.0.0.1", "www.bing.example", path=path), at=NOON).action  # type: ignore[union-attr]  # path known: final
        for path in ("/chat/x", "/search")
    }
    assert by_path == {"/chat/x": Action.BLOCK, "/search": Action.ALLOW}
    unknown = point.decide(request("10.0.0.1", "www.bing.example"), at=NOON)
    assert isinstance(unknown, Undetermined)
    assert unknown.needs == {Facet.PATH}


def test_the_most_specific_entry_names_the_service() -> None:
    services = [service("openai", "openai.example"), service("openai-api", exact("api.openai.example"))]
    point = policy(segment("hq", "10.0.0.0/8"), services=services)
    found = {
        n: point.decide(request("10.0.0.1", n), at=NOON).service.id
        for n in ("api.openai.example", "x.api.openai.example")
    }  # type: ignore[union-attr]  # both names are in the index
    assert found == {"api.openai.example": "openai-api", "x.api.openai.example": "openai"}


def test_a_rule_with_dates_lapses_and_says_when() -> None:
    end = datetime(2026, 2, 1, tzinfo=UTC)
    limited = rule("for-now", "block", services=["deepseek"], schedule=Schedule(until=end))
    decided = policy(segment("m", "10.0.0.0/8", rules=[limited]), services=[DEEPSEEK]).decide(
        request("10.0.0.1", "deepseek.com"), at=NOON
    )
    assert decided.valid_until == end
