"""Each exported file is accepted by the program it is for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sumun.export.formats import FORMATS
from sumun.export.names import entries_for
from sumun.export.write import Heading, write
from sumun.loading.build import build
from sumun.loading.sources import read_sources
from sumun.model.listed import Entry, Hold
from sumun.model.service import Match, Pattern
from sumun.policy.blocked import BlockedNames
from tests.support.builders import NOON
from tests.support.project import ROOT

pytestmark = pytest.mark.integration

TRICKY = [
    Entry(Pattern("a.example")),
    Entry(Pattern("a.example", Match.EXACT), Hold.SPARED),
    Entry(Pattern("ok.deep.a.example"), Hold.SPARED),
    Entry(Pattern("no.ok.deep.a.example")),
    Entry(Pattern("xn--9t4b11yi5a.example")),
    Entry(Pattern("_dns.under_score.example", Match.EXACT)),
    Entry(Pattern("1password.example", Match.EXACT)),
    Entry(Pattern(".".join(["n" * 59] * 4))),
]


def closed_segment() -> list[Entry]:
    """Everything that the strictest segment of the default configuration blocks."""
    loaded = build(read_sources(ROOT / "config" / "sumun.yaml"))
    part = next(s for s in loaded.config.segments if s.name == "military-use")
    names = BlockedNames.of(loaded.policy, part, NOON)
    assert names
    entries = list(entries_for(names.patterns(), names.covers))
    assert len(entries) > 700
    return entries


@pytest.fixture(scope="module", params=["catalogue", "tricky"])
def entries(request: pytest.FixtureRequest) -> list[Entry]:
    return closed_segment() if request.param == "catalogue" else TRICKY


def exported(entries: list[Entry], form: str, folder: Path) -> Path:
    path = folder / f"sumun.{form}"
    path.write_text(write(entries, FORMATS[form], Heading(("what", "when"), serial=2026112201)).text)
    return path


def run(program: str, *arguments: str | Path) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}")
    answer = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    said = answer.stdout + answer.stderr
    assert answer.returncode == 0, said
    return said


def test_bind_loads_the_zone(entries: list[Entry], tmp_path: Path) -> None:
    said = run("named-checkzone", "-k", "ignore", "rpz.test", exported(entries, "rpz", tmp_path))
    assert "loaded serial 2026112201" in said


def test_unbound_accepts_its_options(entries: list[Entry], tmp_path: Path) -> None:
    assert "no errors" in run("unbound-checkconf", exported(entries, "unbound", tmp_path))


def test_dnsmasq_accepts_its_options(entries: list[Entry], tmp_path: Path) -> None:
    assert "syntax check OK" in run("dnsmasq", "--test", "-C", exported(entries, "dnsmasq", tmp_path))


def test_squid_takes_the_names_without_a_complaint(entries: list[Entry], tmp_path: Path) -> None:
    names = exported(entries, "dstdomain", tmp_path)
    conf = tmp_path / "squid.conf"
    conf.write_text(f'acl ai dstdomain "{names}"\nhttp_access deny ai\nhttp_port 127.0.0.1:3128\ncoredump_dir none\n'
                    f"visible_hostname squid.test\npid_filename none\nlogfile_rotate 0\n")  # fmt: skip
    said = run("squid", "-k", "parse", "-f", conf)
    complaints = [line for line in said.splitlines() if any(w in line for w in ("ERROR", "WARNING", "FATAL"))]
    assert complaints == []
