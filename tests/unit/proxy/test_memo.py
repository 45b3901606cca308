from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address

from sumun.model.name import DomainName
from sumun.model.schedule import Schedule
from sumun.policy.engine import Policy
from sumun.proxy.destination import Destination
from sumun.proxy.memo import ENTRIES, LIFE, Memo
from sumun.proxy.ruling import GateRuling, gate_ruling
from tests.support.builders import DEEPSEEK, NOON, policy, rule, segment

CLIENT = ip_address("10.0.0.1")
SOMEWHERE = Destination(DomainName("chat.deepseek.com"), 443)
KEY = CLIENT, SOMEWHERE, None, None


def until(moment: str | None = None) -> Policy:
    ending = {"schedule": Schedule(until=NOON + timedelta(seconds=0.5))} if moment else {}
    return policy(
        segment("s", "10.0.0.0/8", rules=[rule("no-ai", "block", services=["deepseek"], **ending)]), services=[DEEPSEEK]
    )


def learnt(memo: Memo, policy_: Policy) -> GateRuling:
    return memo.learn(policy_, KEY, NOON, lambda: gate_ruling(policy_, CLIENT, SOMEWHERE, at=NOON))


def test_a_ruling_is_recalled_for_its_life_and_no_longer() -> None:
    memo, policy_ = Memo(), until()
    ruling = learnt(memo, policy_)
    assert memo.recall(policy_, KEY, NOON + LIFE - timedelta(microseconds=1)) is ruling
    assert memo.recall(policy_, KEY, NOON + LIFE) is None
    assert memo.recall(policy_, KEY, NOON - timedelta(microseconds=1)) is None, "the clock was set back"


def test_another_policy_knows_nothing_of_it() -> None:
    memo, before, after = Memo(), until(), until()
    learnt(memo, before)
    assert memo.recall(after, KEY, NOON) is None
    second = learnt(memo, after)
    assert memo.recall(after, KEY, NOON) is second
    assert memo.recall(before, KEY, NOON) is None


def test_it_ends_with_the_schedule() -> None:
    memo, policy_ = Memo(), until("soon")
    ruling = learnt(memo, policy_)
    assert ruling.ruling.outcome.valid_until == NOON + timedelta(seconds=0.5)
    assert memo.recall(policy_, KEY, NOON + timedelta(seconds=0.49)) is ruling
    assert memo.recall(policy_, KEY, NOON + timedelta(seconds=0.5)) is None


def test_it_is_bounded() -> None:
    memo, policy_ = Memo(), until()
    ruling = learnt(memo, policy_)
    for port in range(1, ENTRIES + 1):
        memo.learn(policy_, (CLIENT, Destination(SOMEWHERE.host, port), None, None), NOON, lambda: ruling)
    assert len(memo._known) <= ENTRIES
