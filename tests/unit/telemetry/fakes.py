"""Sinks and attempts for the tests of this package."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry

from sumun.model.event import AccessDecided, Context
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.policy.engine import Policy
from sumun.telemetry.metrics import Metrics
from sumun.telemetry.record import Record
from tests.support.builders import NOON, request, three_segments

DNS = Context(dns_type="A", protocol="udp")


class Counted:
    """Metrics in a registry of their own, and what they say."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)

    def series(self, name: str) -> dict[tuple[str, ...], float]:
        """Values by label values, in the alphabetical order of the labels."""
        return {
            tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name
        }

    def total(self, name: str) -> float:
        return sum(self.series(name).values())


class FakeSink:
    """Keeps what it is given; fails while ``fault`` is set, and hangs while ``hold`` is."""

    name = "fake"

    def __init__(self, fault: OSError | None = None) -> None:
        self.lines: list[bytes] = []
        self.fault = fault
        self.closed = False
        self.attempts = threading.Semaphore(0)
        self.free = threading.Event()
        self.free.set()

    def write(self, lines: Sequence[bytes]) -> None:
        self.attempts.release()
        assert self.free.wait(60)
        if self.fault:
            raise self.fault
        self.lines += lines

    def close(self) -> None:
        self.closed = True

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def attempt(
    client: str = "127.0.0.3",
    name: str | None = "chat.deepseek.com",
    *,
    at: datetime = NOON,
    policy: Policy | None = None,
    point: Point = Point.DNS,
    verdict: Verdict = Verdict.SINKHOLED,
    data_exposed: DataExposed = DataExposed.NONE,
    context: Context = DNS,
    **more: Any,
) -> AccessDecided:
    asked = request(client, name, **more)
    outcome = (policy or three_segments()).decide(asked, at=at)
    return AccessDecided(at, point, asked, outcome, verdict, data_exposed, context)


def record(event: AccessDecided, **more: Any) -> Record:
    given = {"id": "ID", "count": 1, "first_seen": event.at, "last_seen": event.at} | more
    return Record(event=event, **given)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
