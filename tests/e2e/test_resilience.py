"""What goes wrong around the filter does not stop it: a broken configuration at a restart, a full disk."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.test_lists import blocked, keep_a_copy, settings
from tests.support import configs
from tests.support.running import Running, started

pytestmark = pytest.mark.e2e


def total(running: Running, metric: str, **labels: str) -> float:
    samples = (s for family in text_string_to_metric_families(running.metrics()) for s in family.samples)
    return sum(s.value for s in samples if s.name == metric and labels.items() <= s.labels.items())


def test_a_restart_with_a_broken_configuration_and_the_list_host_down(tmp_path: Path) -> None:
    url = "https://lists.example/far.txt"  # nobody resolves it
    config, port, console = settings(tmp_path, url)
    keep_a_copy(tmp_path / "state", url, timedelta(days=1))
    path, base = configs.write(tmp_path / "sumun.yaml", config), f"http://127.0.0.1:{console}"
    with started(path, state=tmp_path / "state", console=base):
        assert blocked(port, "n7.example")
    configs.write(path, config | {"rules": [{"id": "listed", "action": "blok"}]})
    with started(path, state=tmp_path / "state", console=base) as running:
        assert blocked(port, "n7.example")
        assert not blocked(port, "n7.elsewhere.example")
        assert total(running, "sumun_policy_last_reload_successful") == 0
        running.await_said("blok")


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return path
    raise AssertionError("the disk is not full")


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_stops_no_answer_and_every_loss_is_counted(tmp_path: Path) -> None:
    with small_disk(tmp_path / "state") as state:
        config, port, console = settings(tmp_path, "https://lists.example/far.txt")
        config["segments"]["military-use"]["rules"] = [{"id": "no", "action": "block", "domains": ["blocked.example"]}]
        path = configs.write(tmp_path / "sumun.yaml", config)
        with started(path, state=state, console=f"http://127.0.0.1:{console}") as running:
            filler = fill(state)
            assert all(blocked(port, f"n{number}.blocked.example") for number in range(200))
            running.await_said("No space left on device")
            filler.unlink()
            assert all(blocked(port, f"m{number}.blocked.example") for number in range(50))
            assert running.process.poll() is None
            reaches(lambda: total(running, "sumun_decisions_total"), 250)
            reaches(lambda: accounted(running), 250)
            assert running.logged().total() == total(running, "sumun_attempts_logged_total", sink="file") >= 50


def reaches(count: Callable[[], float], number: int) -> None:
    """Wait until as many are counted, which workers do some time after they answered; and no more."""
    end = time.monotonic() + 60
    while (counted := count()) < number and time.monotonic() < end:
        threading.Event().wait(0.05)
    assert counted == number


def accounted(running: Running) -> float:
    """Attempts that are in the log, or counted as lost."""
    metrics = ("sumun_attempts_logged_total", "sumun_attempts_dropped_total")
    return sum(total(running, metric, sink="file") for metric in metrics)
