"""What becomes of a grant is one line, with nothing in it that could make two of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sumun.model.grant import Change, Grant, GrantChanged, GrantKind
from sumun.telemetry.grant_log import GrantLog, to_ecs
from sumun.telemetry.metrics import Metrics
from tests.support.builders import NOON

DOCS = (Path(__file__).parents[3] / "docs" / "reference" / "events.md").read_text("utf-8")
GRANT = Grant(
    "1KA8-PGF8-T1V3-2R40", GrantKind.JUSTIFICATION, NOON + timedelta(hours=1), "chatgpt", "",
    ip_network("10.0.0.7/32"), None, "office", "why", "for the report\u2028{}", "research", "Park",
)  # fmt: skip


class Sink:
    name = "test"

    def __init__(self, fault: OSError | None = None) -> None:
        self.lines: list[bytes] = []
        self.fault = fault

    def write(self, lines: Sequence[bytes]) -> None:
        if self.fault:
            raise self.fault
        self.lines += lines

    def close(self) -> None:
        """Nothing is held."""


def test_it_is_written_and_counted() -> None:
    registry, sink = CollectorRegistry(), Sink()
    GrantLog(sink, Metrics(registry))(GrantChanged.of(GRANT, Change.GIVEN, NOON, by="Park", incident="I-1"))
    (line,) = sink.lines
    event = json.loads(line)
    assert line.count(b"\n") == 1
    assert (event["event"]["action"], event["source"]["ip"]) == ("justification_given", "10.0.0.7")
    assert event["sumun"]["grant"] == {
        "id": GRANT.id, "kind": "justification", "change": "given", "client": "10.0.0.7",
        "until": "2026-01-05T13:00:00.000Z", "reason": "for the report\ufffd{}", "purpose": "research",
        "approver": "Park", "by": "Park", "incident": "I-1",
    }  # fmt: skip
    assert "count" not in event["sumun"], "grants are no decisions: what adds up to the metric must not see them"
    labels = {"kind": "justification", "change": "given"}
    assert registry.get_sample_value("sumun_grant_changes_total", labels) == 1


def test_a_full_disk_is_told_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    GrantLog(Sink(OSError(28, "No space left on device")))(GrantChanged.of(GRANT, Change.REVOKED, NOON))
    assert "No space left on device" in caplog.text


@pytest.mark.parametrize("word", [*Change, *GrantKind, "review"])
def test_every_word_is_documented(word: str) -> None:
    assert f"`{word}`" in DOCS.partition("## Grants")[2]


def test_every_field_is_documented() -> None:
    event = to_ecs(GrantChanged.of(GRANT, Change.GIVEN, NOON, by="Park", incident="I-1"))
    section = DOCS.partition("## Grants")[2]
    assert all(f"`sumun.grant.{key}`" in section for key in event["sumun"]["grant"])
