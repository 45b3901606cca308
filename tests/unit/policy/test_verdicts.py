"""What each point does with each kind of outcome."""

from __future__ import annotations

import pytest

from sumun.model.decision import Decision, Outcome, Reason, Undetermined
from sumun.model.request import Facet
from sumun.model.rule import Action, Rule
from sumun.model.segment import DnsAnswer, DnsPolicy, FailMode
from sumun.model.verdict import Verdict
from sumun.policy.verdicts import dns_verdict, gate_verdict, http_verdict
from tests.support.builders import rule

STEERING, PLAIN = DnsPolicy(), DnsPolicy(steer=False)


def by_rule(action: Action, **more: object) -> Decision:
    return Decision(action, Reason.RULE, "s", rule=Rule("r", action, **more))  # type: ignore[arg-type]  # one keyword


def undetermined(*needs: Facet) -> Undetermined:
    return Undetermined(frozenset(needs), "s", (rule("r", "block"), rule("", "allow")))


STRANGER = Decision(Action.BLOCK, Reason.UNKNOWN_CLIENT, "unknown")


@pytest.mark.parametrize(
    ("outcome", "steering", "plain", "gate", "http"),
    [
        pytest.param(by_rule(Action.ALLOW), "forwarded", "forwarded", "spliced", "forwarded", id="allow"),
        pytest.param(by_rule(Action.MONITOR), "forwarded", "forwarded", "spliced", "forwarded", id="monitor"),
        pytest.param(by_rule(Action.WARN), "steered", "forwarded", "intercepted", "warn_page", id="warn"),
        pytest.param(by_rule(Action.JUSTIFY), "steered", "forwarded", "intercepted", "justify_page", id="justify"),
        pytest.param(by_rule(Action.BLOCK), "sinkholed", "sinkholed", "intercepted", "block_page", id="block"),
        pytest.param(
            by_rule(Action.ALLOW, tenant=(("x", "y"),)), "steered", "forwarded", "intercepted", "forwarded", id="tenant"
        ),
        pytest.param(STRANGER, "refused", "refused", "refused", "refused", id="stranger"),
        pytest.param(undetermined(Facet.MODEL), "steered", "forwarded", "intercepted", "closed", id="needs the model"),
        pytest.param(undetermined(Facet.PATH), "forwarded", "forwarded", "intercepted", "closed", id="shared domain"),
    ],
)
def test_verdicts(outcome: Outcome, steering: str, plain: str, gate: str, http: str) -> None:
    found = (
        dns_verdict(outcome, STEERING), dns_verdict(outcome, PLAIN),
        gate_verdict(outcome), http_verdict(outcome, FailMode.CLOSED),
    )  # fmt: skip
    assert found == (steering, plain, gate, http)


@pytest.mark.parametrize(
    ("answer", "verdict"), [(a, Verdict.SINKHOLED if a is DnsAnswer.SINKHOLE else Verdict(a)) for a in DnsAnswer]
)
def test_a_block_is_answered_as_the_segment_says(answer: DnsAnswer, verdict: Verdict) -> None:
    assert dns_verdict(by_rule(Action.BLOCK), DnsPolicy(answer=answer)) is verdict


def test_what_http_cannot_determine_ends_as_the_segment_says() -> None:
    assert http_verdict(undetermined(Facet.CONTENT), FailMode.OPEN) is Verdict.FORWARDED
