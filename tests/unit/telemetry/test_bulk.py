from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, Histogram

from sumun.telemetry.bulk import observe, observe_all


@pytest.mark.parametrize("amount", [0.0, 0.001, 0.0011, 0.5, 99.0], ids=str)
def test_many_at_once_are_as_many_one_by_one(amount: float) -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    many, single = (Histogram("spent", "Seconds", buckets=(0.001, 0.01, 1), registry=r) for r in registries)
    observe(many, amount, 64)
    for _ in range(64):
        single.observe(amount)
    samples = [{(s.name, *s.labels.items()): s.value for m in r.collect() for s in m.samples} for r in registries]
    assert samples[0] == pytest.approx(samples[1])
    assert samples[0]["spent_count",] == 64


@pytest.mark.parametrize("amounts", [[], [0.0], [0.001, 0.0011, 0.5, 0.5, 99.0, 0.01]], ids=str)
def test_different_ones_at_once_are_as_many_one_by_one(amounts: list[float]) -> None:
    registries = [CollectorRegistry(), CollectorRegistry()]
    many, single = (Histogram("spent", "Seconds", buckets=(0.001, 0.01, 1), registry=r) for r in registries)
    observe_all(many, amounts)
    for amount in amounts:
        single.observe(amount)
    samples = [{(s.name, *s.labels.items()): s.value for m in r.collect() for s in m.samples} for r in registries]
    assert {key: value for key, value in samples[0].items() if "created" not in key[0]} == pytest.approx(
        {key: value for key, value in samples[1].items() if "created" not in key[0]}
    )
