from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import generate_latest

from tests.unit.telemetry.fakes import Counted

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "metrics.md").read_text()
LABELS = {
    f"{name}{'_total' if kind == 'counter' else ''}": labels
    for name, kind, labels in (
        (metric._name, metric._type, metric._labelnames)  # the library tells labels nowhere else
        for metric in vars(Counted().metrics).values()
    )
}


def test_there_are_metrics() -> None:
    assert len(LABELS) == len(Counted().metrics.families()) >= 16


def test_counters_bring_no_created_series() -> None:
    counted = Counted()
    counted.metrics.events.labels("file").inc()
    text = generate_latest(counted.registry).decode()
    assert 'sumun_events_total{sink="file"} 1.0' in text
    assert "_created" not in text


@pytest.mark.parametrize("name", LABELS)
def test_every_metric_is_documented_with_its_labels(name: str) -> None:
    row = next((line for line in REFERENCE.splitlines() if line.startswith(f"| `{name}` |")), "")
    assert [label.strip(" `") for label in row.split("|")[2].split(",")] == list(LABELS[name]) if row else False
