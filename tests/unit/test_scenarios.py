"""One corpus, four harnesses: the engine, the sinkhole, the gate and the http hooks tell the same story.

A scenario's name is the behaviour it shows; a bug report becomes a file.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from sumun.loading.build import build
from sumun.loading.sources import Sources, read_sources
from sumun.model.decision import Decision
from sumun.model.name import DomainName
from sumun.model.request import UNKNOWN, AccessRequest
from sumun.policy.explain import explain
from tests.support.points import Points

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests" / "scenarios").glob("*.yaml"))
DEFAULT_AT = datetime(2026, 11, 23, 3, tzinfo=UTC)
KEYS = {
    "client", "name", "at", "path", "method", "model", "user", "uploads",
    "action", "needs", "rule", "segment", "service", "shadows", "logged", "dns", "gate", "http",
}  # fmt: skip


@cache
def default_sources() -> Sources:
    return read_sources(ROOT / "config" / "sumun.yaml")


@cache
def points(configuration: str | None) -> Points:
    sources = default_sources()
    if configuration is not None:
        sources = Sources(sources.config_file, configuration, sources.services, {})
    return Points(build(sources).policy)


def steps() -> list[Any]:
    found = []
    for path in FILES:
        scenario = yaml.safe_load(path.read_text("utf-8"))
        for number, step in enumerate(scenario["steps"], 1):
            assert set(step) <= KEYS, f"{path.name}, step {number}: unknown keys {set(step) - KEYS}"
            found.append(pytest.param(scenario.get("configuration"), step, id=f"{path.stem}-{number}"))
    return found


def asked(step: dict[str, Any]) -> AccessRequest:
    """What the step says of the request; like the http point, it knows a request without a model for what it is."""
    return AccessRequest(
        client=ip_address(step["client"]),
        name=DomainName.parse(step["name"]),
        method=step.get("method"),
        path=step.get("path", UNKNOWN),
        user=step.get("user", UNKNOWN),
        model=step.get("model", UNKNOWN),
        uploads=step.get("uploads", UNKNOWN),
    )


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 20


@pytest.mark.parametrize(("configuration", "step"), steps())
def test_scenario(configuration: str | None, step: dict[str, Any]) -> None:
    trio, request, at = points(configuration), asked(step), step.get("at", DEFAULT_AT)
    explanation = explain(trio.policy, request, at=at)
    outcome = explanation.outcome
    said = {
        "action": outcome.action.value if isinstance(outcome, Decision) else None,
        "needs": None if isinstance(outcome, Decision) else sorted(outcome.needs),
        "rule": outcome.rule.id if isinstance(outcome, Decision) and outcome.rule else None,
        "segment": outcome.segment,
        "service": outcome.service.id if outcome.service else None,
        "shadows": [rule.id for rule in outcome.shadows],
    }
    assert {key: step[key] for key in said if key in step} == {key: said[key] for key in said if key in step}
    dns = trio.dns(request, at)
    gate = trio.gate(request, at)
    assert (dns.verdict, gate.verdict) == (explanation.dns, explanation.gate)
    for point, seen in (("dns", dns), ("gate", gate)):
        assert step.get(point, seen.verdict) == seen.verdict
    if not isinstance(outcome, Decision):
        return
    http = trio.http(request, at)
    assert http.verdict == explanation.http
    assert (http.status or "forwarded") == step.get("http", http.status or "forwarded")
    if "logged" in step:
        assert (bool(dns.events), bool(http.events)) == (step["logged"], step["logged"])
