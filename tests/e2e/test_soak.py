"""What `make soak` does for ten minutes, for twenty seconds: every query is answered or counted, whatever happens."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.soak import Plan, Soak

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not shutil.which("dnsperf"), reason="`dnsperf` is not installed"),
]


def test_reloads_and_stalled_upstreams_lose_no_query_and_no_count(tmp_path: Path) -> None:
    report = Soak(tmp_path, Plan(seconds=9, rate=500, reload_every=2, stall_every=3, kill_every=0, stall=1)).run()
    report.check()
    assert report.sent == report.completed == report.queries == report.responses
    assert report.sent > 4000
    assert report.reloads
    assert report.stalls


def test_of_a_killed_worker_no_more_is_lost_than_it_held(tmp_path: Path) -> None:
    report = Soak(tmp_path, Plan(seconds=11, rate=500, reload_every=4, stall_every=5, kill_every=3, stall=1)).run()
    report.check()
    assert report.kills
    assert report.completed > report.sent - report.in_killed
