from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sumun import __version__
from sumun.console.gauges import ConsoleCollector, certificate_end
from sumun.console.view import ListView, LoadedView
from sumun.model.schedule import Schedule
from sumun.model.segment import Segment
from tests.support.builders import NOON, rule

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "metrics.md").read_text()
LATER = NOON + timedelta(days=30)
VIEW = LoadedView(
    revision="5f1d0c2ab9e4",
    segments=[
        Segment(
            "ministry",
            (ip_network("10.0.0.0/8"),),
            (rule("temporary", "block", schedule=Schedule(until=LATER)), rule("for-good", "block")),
        )
    ],
    rules=[rule("first", "block", schedule=Schedule(until=NOON))],
    lists={
        "partners": ListView(entries=120, refused_lines=2, last_success=NOON),
        "new": ListView(0, 0, None, "no route", subscribed=True),
    },
    last_reload_ok=False,
    last_success=NOON,
)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", str(tmp_path / "key.pem"), "-out", str(path), "-days", "10", "-subj", "/CN=Test"]  # fmt: skip
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    subprocess.run(command, check=True, capture_output=True)
    return path


def output(view: LoadedView, certificate: Path) -> str:
    registry = CollectorRegistry()
    registry.register(ConsoleCollector(lambda: view, certificate))
    return generate_latest(registry).decode()


def values(text: str) -> dict[str, float]:
    return {
        series: float(value)
        for series, value in (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    }


def test_policy_rules_and_lists(tmp_path: Path) -> None:
    series = values(output(VIEW, tmp_path / "none"))
    build = {name: series.pop(name) for name in list(series) if name.startswith("sumun_build_info")}
    assert [f'version="{__version__}"' in name and value == 1 for name, value in build.items()] == [True]
    assert series == {
        'sumun_policy_info{revision="5f1d0c2ab9e4"}': 1,
        "sumun_policy_last_reload_successful": 0,
        "sumun_policy_last_reload_success_timestamp_seconds": NOON.timestamp(),
        'sumun_rule_until_timestamp_seconds{rule="first",segment="*"}': NOON.timestamp(),
        'sumun_rule_until_timestamp_seconds{rule="temporary",segment="ministry"}': LATER.timestamp(),
        'sumun_list_entries{list="partners"}': 120,
        'sumun_list_entries{list="new"}': 0,
        'sumun_list_refused_lines{list="partners"}': 2,
        'sumun_list_refused_lines{list="new"}': 0,
        'sumun_list_last_success_timestamp_seconds{list="partners"}': NOON.timestamp(),
        'sumun_list_last_update_successful{list="new"}': 0,
    }


def test_the_end_of_the_certificate_authority(certificate: Path) -> None:
    command = ["openssl", "x509", "-enddate", "-noout", "-dateopt", "iso_8601", "-in", str(certificate)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    end = certificate_end(certificate)
    assert end is not None
    assert datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M:%SZ") in told
    assert values(output(VIEW, certificate))["sumun_ca_not_after_timestamp_seconds"] == end


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_no_certificate_is_no_series(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    assert certificate_end(path) is None
    assert "sumun_ca_not_after_timestamp_seconds" not in values(output(VIEW, path))


def test_every_gauge_is_documented(tmp_path: Path) -> None:
    names = [family.name for family in ConsoleCollector(lambda: VIEW, tmp_path / "none").collect()]
    assert len(names) == 11
    assert [name for name in names if f"| `{name}` |" not in REFERENCE] == []


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_the_output(certificate: Path) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=output(VIEW, certificate).encode(), capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
