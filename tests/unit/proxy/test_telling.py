from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sumun.model.segment import FailMode
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.policy.engine import Policy
from sumun.proxy.destination import Destination, DomainName
from sumun.proxy.ruling import gate_ruling
from sumun.proxy.telling import Teller
from sumun.telemetry.metrics import Metrics
from tests.support.builders import NOON, policy, segment, three_segments
from tests.support.proxies import AwaitedEvents

CLIENT = ip_address("10.20.0.7")
SOMEWHERE = Destination(DomainName("open.test"), 443)


def teller(policy_: Any, events: Any = None) -> tuple[Teller, AwaitedEvents, CollectorRegistry]:
    registry, recording = CollectorRegistry(), AwaitedEvents()
    made = Teller(policy=policy_, events=events or recording, metrics=Metrics(registry), clock=lambda: NOON)
    return made, recording, registry


class Undecided:
    """A policy that knows its segments and fails to decide."""

    def __init__(self, sound: Policy) -> None:
        self.segment_of = sound.segment_of
        self.decide = broken


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError("broken")


@pytest.mark.parametrize(("mode", "verdict"), [(FailMode.OPEN, Verdict.SPLICED), (FailMode.CLOSED, Verdict.CLOSED)])
def test_a_decision_that_fails_ends_as_the_segment_says(mode: FailMode, verdict: Verdict) -> None:
    made, events, registry = teller(lambda: Undecided(policy(segment("s", "10.0.0.0/8", on_failure=mode))))
    ruling = made.rule_at_gate(CLIENT, SOMEWHERE)
    assert (ruling.verdict, ruling.failure) == (verdict, True)
    labels = {"point": "gate", "segment": "s", "mode": mode.value}
    assert registry.get_sample_value("sumun_failure_decisions_total", labels) == 1
    made.ended_at_gate(ruling, verdict, DataExposed.NONE)
    assert events.seen == [], "nobody knows whether it concerns AI"


def test_without_a_policy_it_is_closed() -> None:
    made, _, _ = teller(broken)
    assert made.rule_at_gate(CLIENT, SOMEWHERE).verdict is Verdict.CLOSED
    assert made.failed(Point.HTTP, CLIENT) == ("unknown", FailMode.CLOSED)


def test_events_that_cannot_be_recorded_are_counted() -> None:
    class Broken:
        record = broken

    made, _, registry = teller(three_segments, Broken())
    destination = Destination(DomainName("chat.deepseek.com"), 443)
    ruling = gate_ruling(three_segments(), CLIENT, destination, at=NOON)
    made.ended_at_gate(ruling, Verdict.CLOSED, DataExposed.NONE)
    labels = {"point": "gate", "segment": "military-use", "mode": "closed"}
    assert registry.get_sample_value("sumun_failure_decisions_total", labels) == 1


def test_only_what_concerns_ai_is_told() -> None:
    made, events, _ = teller(three_segments)
    for name in ("example.test", "chat.deepseek.com"):
        ruling = gate_ruling(three_segments(), CLIENT, Destination(DomainName(name), 443), at=NOON)
        made.ended_at_gate(ruling, Verdict.CLOSED, DataExposed.NONE, server_name=name)
    assert [str(event.request.name) for event in events.seen] == ["chat.deepseek.com"]
    assert events.seen[0].context.server_name == "chat.deepseek.com"
