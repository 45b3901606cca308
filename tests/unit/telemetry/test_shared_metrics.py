from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sumun.telemetry.faults import TelemetryFault
from sumun.telemetry.shared_metrics import is_sound, render, share

ROOT = Path(__file__).parents[3]
DECISIONS = "sumun_decisions_total"


class Worker:
    """A counting process."""

    def __init__(self, folder: Path, identity: str) -> None:
        command = [sys.executable, "-m", "tests.unit.telemetry.worker", str(folder), identity]
        path = f"{ROOT / 'addon'}:{ROOT}"
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip
        self._wait("ready")

    def do(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self._wait("done")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> str:
        return self.process.communicate(timeout=20)[1]

    def _wait(self, word: str) -> None:
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if line != word:
            raise AssertionError(self.process.communicate()[1])


@contextmanager
def worker(folder: Path, identity: str) -> Iterator[Worker]:
    running = Worker(folder, identity)
    try:
        yield running
    finally:
        running.kill()


def samples(folder: Path) -> dict[str, float]:
    """Sums by sample name."""
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(render(folder).decode()):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def test_processes_add_up_and_a_restart_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "metrics"
    with worker(folder, "dns-0") as first, worker(folder, "dns-1") as second:
        first.do("10")
        second.do("5")
        assert samples(folder)[DECISIONS] == 15
        first.kill()
        assert samples(folder)[DECISIONS] == 15
        with worker(folder, "dns-0") as again:
            assert samples(folder)[DECISIONS] == 15
            again.do("1")
            assert samples(folder)[DECISIONS] == 16
            assert samples(folder)["sumun_decision_duration_seconds_count"] == 16
    assert sorted(path.name for path in folder.glob("counter*")) == ["counter_dns-0.db", "counter_dns-1.db"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_kill_in_the_middle_never_takes_a_counter_back(tmp_path: Path) -> None:
    before = 0.0
    for _ in range(3):
        with worker(tmp_path, "dns-0") as running:
            running.do("for-ever")
            deadline = time.monotonic() + 20
            while (now := samples(tmp_path)[DECISIONS]) < before + 1000:
                assert time.monotonic() < deadline
                assert now >= before
            running.kill()
        after = samples(tmp_path)[DECISIONS]
        assert after >= now
        before = after
    assert samples(tmp_path)["sumun_metrics_unreadable_files"] == 0


def test_two_processes_of_one_identity_take_two_slots(tmp_path: Path) -> None:
    """Guards a restart that overlaps: each would overwrite what the other counts."""
    with worker(tmp_path, "dns-0") as old, worker(tmp_path, "dns-0") as new:
        old.do("3")
        new.do("4")
        old.do("3")
        assert samples(tmp_path)[DECISIONS] == 10
    assert {path.name for path in tmp_path.glob("counter*")} == {"counter_dns-0.db", "counter_dns-0.2.db"}


def test_a_gauge_ends_with_its_process(tmp_path: Path) -> None:
    with worker(tmp_path, "dns-0") as first, worker(tmp_path, "dns-1") as second:
        first.do("queue 7")
        second.do("queue 4")
        assert samples(tmp_path)["sumun_events_queued"] == 11
        first.kill()
        assert samples(tmp_path)["sumun_events_queued"] == 4
        with worker(tmp_path, "dns-0"):
            assert samples(tmp_path)["sumun_events_queued"] == 4


DAMAGE = {
    "cut in a key": lambda data: data[:40],
    "cut in the header": lambda data: data[:3],
    "used beyond its end": lambda data: b"\xff\xff\xff\x7f" + data[4:],
    "negative use": lambda data: b"\xff\xff\xff\xff" + data[4:],
    "an entry that leads back": lambda data: data[:8] + (-28).to_bytes(4, "little", signed=True) + data[12:],
    "noise": lambda data: data[:8] + random.Random(1).randbytes(len(data) - 8),
    "a key that is no name": lambda data: data.replace(b'["sumun', b"[0,nooo"),
    "another program's": lambda _: b"SQLite format 3\0" * 400,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_set_aside_and_neither_a_start_nor_a_scrape_fails(tmp_path: Path, damage: str) -> None:
    with worker(tmp_path, "dns-0") as first, worker(tmp_path, "dns-1") as second:
        first.do("10")
        second.do("5")
    path = tmp_path / "counter_dns-0.db"
    assert is_sound(path), "control"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    assert not is_sound(path)
    assert samples(tmp_path)[DECISIONS] == 5
    assert samples(tmp_path)["sumun_metrics_unreadable_files"] == 1
    again = Worker(tmp_path, "dns-0")
    again.do("2")
    again.end()
    assert samples(tmp_path)[DECISIONS] == 7
    assert samples(tmp_path)["sumun_metrics_unreadable_files"] == 1
    assert (tmp_path / "counter_dns-0.db.corrupt").exists()


def test_a_scrape_without_any_process_names_every_metric_and_no_created_series(tmp_path: Path) -> None:
    text = render(tmp_path / "missing").decode()
    assert "# TYPE sumun_decisions_total counter" in text
    assert "# TYPE sumun_events_queued gauge" in text
    assert "_created" not in text
    with worker(tmp_path, "dns-0") as one:
        one.do("1")
    assert "_created" not in render(tmp_path).decode()
    assert render(tmp_path).decode().count("# TYPE sumun_decisions_total ") == 1


def test_a_folder_that_cannot_be_made_is_the_operators_fault(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(TelemetryFault, match=r"metrics in `.*/state/metrics`: not a directory: make room"):
        share(tmp_path / "state" / "metrics", "dns-0")


@pytest.mark.parametrize("identity", ["dns", "dns_0", "../dns-0", "DNS-0", ""])
def test_identities_are_role_and_index(tmp_path: Path, identity: str) -> None:
    with pytest.raises(ValueError, match="is not a role and an index"):
        share(tmp_path, identity)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_accepts_the_output(tmp_path: Path) -> None:
    with worker(tmp_path, "dns-0") as one:
        one.do("3")
    checked = subprocess.run(["promtool", "check", "metrics"], input=render(tmp_path), capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
