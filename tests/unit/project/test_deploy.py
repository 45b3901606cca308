"""The files under deploy/ and docker-compose.yml name things that exist."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from prometheus_client import CollectorRegistry

from sumun.cli.app import cli
from sumun.telemetry.metrics import Metrics
from tests.support.project import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
RULES = ROOT / "deploy/prometheus/rules.yml"
ROLES = ("dns", "proxy", "console")

_METRIC = re.compile(r"\bsumun_\w+")
_SELECTOR = re.compile(r"\b(sumun_\w+)\{([^}]*)\}")
_FAMILY = re.compile(r"_(?:bucket|count|sum)$")


def _commands() -> list[str]:
    return cli.list_commands(click.Context(cli))


def _known_metrics() -> dict[str, frozenset[str]]:
    """Names and labels: those that serving processes write, and the console's gauges from the reference."""
    metrics = [m for m in vars(Metrics(CollectorRegistry())).values() if hasattr(m, "_labelnames")]
    known = {name: frozenset(m._labelnames) for m in metrics for name in (m._name, f"{m._name}_total")}
    page = (ROOT / "docs/reference/metrics.md").read_text()
    for name, labels in re.findall(r"^\| `(sumun_\w+)` \| ([^|]*)\|", page, re.MULTILINE):
        known.setdefault(name, frozenset(re.findall(r"\w+", labels)))
    return known


def _expressions(dashboard: dict[str, Any]) -> list[str]:
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    variables = [variable["query"]["query"] for variable in dashboard["templating"]["list"]]
    return [*targets, *variables, *(note["expr"] for note in dashboard["annotations"]["list"])]


def _alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def test_dashboards_ask_for_metrics_that_exist() -> None:
    known = _known_metrics()
    asked = [e for path in DASHBOARDS for e in _expressions(json.loads(path.read_text()))]
    asked += [alert["expr"] for alert in _alerts()]
    names = {_FAMILY.sub("", name) for expression in asked for name in _METRIC.findall(expression)}
    assert len(names) >= 20
    assert names <= known.keys()
    for expression in asked:
        for name, selector in _SELECTOR.findall(expression):
            labels = set(re.findall(r"(\w+)\s*[=!]~?", selector)) - {"instance", "job", "le"}
            assert labels <= known[_FAMILY.sub("", name)], expression


def test_every_panel_says_what_it_shows_and_fits_the_grid() -> None:
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        panels = dashboard["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels) >= 20
        for panel in panels:
            assert panel["title"]
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
            assert panel["type"] == "row" or panel["targets"]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "rules.yml"),
        ("test", "rules", "rules_test.yml"),
        ("test", "rules", "lapse_test.yml"),
    ],
    ids=" ".join,
)
def test_prometheus_accepts(arguments: tuple[str, ...]) -> None:
    answer = subprocess.run(
        ["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_alert_says_what_to_do_or_where_to_look() -> None:
    for alert in _alerts():
        assert alert["annotations"]["summary"]
        assert alert["labels"]["severity"] in {"critical", "warning", "info"}


def test_compose_starts_each_role_once_from_one_image() -> None:
    services = COMPOSE["services"]
    assert {name: services[name]["command"] for name in ROLES} == {name: [name] for name in ROLES}
    assert len({services[name]["image"] for name in ROLES}) == 1
    for name in ROLES:
        assert services[name]["healthcheck"]["test"] == ["CMD", "sumun", "healthcheck", "--role", name]
        assert services[name]["read_only"]
        assert services[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_compose_mounts_what_is_there_and_never_writable(name: str) -> None:
    for volume in COMPOSE["services"][name]["volumes"]:
        source, target, *mode = volume.split(":")
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert mode == ["ro"]
        else:
            assert source in COMPOSE["volumes"]


def test_grafana_finds_its_datasource() -> None:
    provisioned = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())
    (datasource,) = provisioned["datasources"]
    for path in DASHBOARDS:
        used = set(re.findall(r'"uid": "([\w-]+)"\s*}', path.read_text()))
        assert used == {datasource["uid"]}


def _unit(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_real_commands_with_the_least_privilege(path: Path) -> None:
    settings = _unit(path)
    for key, value in settings:
        if key.startswith("Exec") and "/sumun " in value:
            assert value.split()[1] in {*_commands(), "%i"}
    given = dict(settings)
    assert given["AmbientCapabilities"] == given["CapabilityBoundingSet"] == "CAP_NET_BIND_SERVICE"
    assert given["NoNewPrivileges"] == "yes"
    assert given["ProtectSystem"] == "strict"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_leave_tls_interception_alive(path: Path) -> None:
    """cffi needs memory that is writable and executable: every interception would fail, and plain HTTP hide it."""
    assert "MemoryDenyWriteExecute" not in dict(_unit(path))


def test_units_differ_only_in_the_role() -> None:
    whole, role = (
        {line for line in path.read_text().splitlines() if not line.startswith(("#", "Description=", "ExecStart="))}
        for path in UNITS
    )
    assert whole == role


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "sumun.service"
    unit.write_text(
        (ROOT / "deploy/systemd/sumun.service").read_text().replace("/opt/sumun/.venv/bin/sumun", "/bin/true")
    )
    answer = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def test_the_image_build_sees_all_that_it_copies() -> None:
    """.dockerignore shuts everything out that it does not name."""
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        source
        for line in (ROOT / "deploy/Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == let_in


def test_configparser_reads_the_units() -> None:
    for path in UNITS:
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.read(path)
        assert parser.sections() == ["Unit", "Service", "Install"]
