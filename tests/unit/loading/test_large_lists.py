"""Large lists are compiled once, apart from the policy, and found again by whoever needs them."""

from __future__ import annotations

import asyncio
import json
import os
import select
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from sumun.config.fault import ConfigError
from sumun.export.names import entries_for
from sumun.loading import last_good
from sumun.loading.active import ActivePolicy
from sumun.loading.build import build
from sumun.loading.compiler import STARVED, Job, LargeList
from sumun.loading.large_lists import shared
from sumun.loading.sources import LARGE, read_sources
from sumun.model.decision import Decision
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.model.rule import Action
from sumun.model.service import Pattern
from sumun.policy.blocked import BlockedNames
from sumun.policy.packed_index import PackedIndex
from tests.support.builders import NOON, request
from tests.unit.loading.support import clock, config

REFUSED = "not a name\nbing.com\ncom\n"
RULES = """\
lists: [{{id: far, path: {folder}/far.txt}}, {{id: near, path: {folder}/near.txt}}]
rules: [{first}{{id: f, action: block, lists: [far]}}, {{id: n, action: monitor, lists: [near]}}]
"""


def large(folder: Path, extra: str = "") -> None:
    lines = "".join(f"name-number-{n}.a.example\n" for n in range(LARGE // 20))
    (folder / "far.txt").write_text(extra + REFUSED + lines)
    assert (folder / "far.txt").stat().st_size > LARGE
    (folder / "near.txt").write_text("near.example\n")


def deployment(folder: Path, first: str = "", extra: str = "") -> Path:
    if not (folder / "far.txt").exists() or extra:
        large(folder, extra)
    return config(folder, more=RULES.format(folder=folder, first=first))


def action(active: ActivePolicy, name: str) -> Action:
    outcome = active.policy().decide(request("10.0.0.7", name), at=NOON)
    assert isinstance(outcome, Decision)
    return outcome.action


def indexes(folder: Path) -> dict[str, int]:
    """Name and inode of each compiled file."""
    return {path.name: path.stat().st_ino for path in (folder / "state" / "lists").glob("compiled-*")}


def test_rules_meet_a_large_list_as_they_meet_any_other(tmp_path: Path) -> None:
    active = ActivePolicy.start(deployment(tmp_path), clock)
    found = [action(active, name) for name in ("x.name-number-7.a.example", "near.example", "other.a.example")]
    assert found == [Action.BLOCK, Action.MONITOR, Action.ALLOW]
    far = active.current.lists["far"]
    assert (far.entries, far.refused, far.present) == (LARGE // 20, 3, True)
    assert [refusal.line for refusal in far.refusals] == [1, 2, 3]
    (name,) = indexes(tmp_path)
    assert stat.S_IMODE((tmp_path / "state" / "lists" / name).stat().st_mode) == 0o600


def test_large_or_small_a_list_means_the_same(tmp_path: Path) -> None:
    sources = read_sources(deployment(tmp_path))
    assert sources.large.keys() == {"far"}
    whole = replace(sources, lists={**sources.lists, "far": (tmp_path / "far.txt").read_text()}, large={})
    one, other = build(sources), build(whole)
    assert one.lists["far"].entries == other.lists["far"].entries
    assert [r.why for r in one.lists["far"].refusals] == [r.why for r in other.lists["far"].refusals]


def test_exceptions_count_in_a_large_list_too(tmp_path: Path) -> None:
    names = "".join(f"||name-number-{n}.a.example^\n" for n in range(45_000))
    text = names + "@@||name-number-7.a.example^\n||name-number-8.a.example^$important,denyallow=ok.a.example\n"
    path = deployment(tmp_path)
    path.write_text(path.read_text().replace("far.txt", "far.txt, format: adblock"))
    (tmp_path / "far.txt").write_text(text)
    active = ActivePolicy.start(path, clock)
    assert len(indexes(tmp_path)) == 1
    assert action(active, "www.name-number-7.a.example") is Action.ALLOW
    assert action(active, "www.name-number-8.a.example") is Action.BLOCK
    found = active.current.lists["far"]
    assert (found.entries, found.exceptions, found.refused) == (45_001, 1, 0)


def test_what_a_large_list_blocks_can_be_written_down(tmp_path: Path) -> None:
    policy = ActivePolicy.start(deployment(tmp_path), clock).policy()
    names = BlockedNames.of(policy, policy.segments.segments[0], NOON)
    assert names
    entries = set(entries_for(names.patterns(), names.covers))
    assert {Entry(Pattern("name-number-7.a.example")), Entry(Pattern("deepseek.com"))} <= entries
    assert len(entries) > LARGE // 20


def test_an_edit_of_a_rule_takes_effect_without_compiling_the_list_again(tmp_path: Path) -> None:
    active = ActivePolicy.start(deployment(tmp_path), clock)
    before = indexes(tmp_path)
    deployment(tmp_path, first="{id: mine, action: allow, domains: [name-number-7.a.example]}, ")
    assert asyncio.run(active.reload())
    assert action(active, "name-number-7.a.example") is Action.ALLOW
    assert action(active, "name-number-8.a.example") is Action.BLOCK
    assert indexes(tmp_path) == before


OVERLAY = """\
  b:
    networks: [10.1.0.0/16]
    rules:
      - {{id: local-allow, action: allow, lists: [allowed]}}
      - {{id: local-block, action: block, lists: [blocked]}}
      - {{id: f, action: block, lists: [far]}}
lists: [{{id: far, path: {folder}/far.txt}}, {{id: allowed, path: {folder}/allowed.txt, guard: false}},
        {{id: blocked, path: {folder}/blocked.txt}}]
"""


def test_an_overlay_of_one_segment_takes_effect_without_compiling_a_name_of_the_large_list(tmp_path: Path) -> None:
    """One line in a small file of one's own, and the large list is neither read as text nor compiled."""
    large(tmp_path)
    for name in ("allowed", "blocked"):
        (tmp_path / f"{name}.txt").write_text("# nothing yet\n")
    path = config(tmp_path, more=OVERLAY.format(folder=tmp_path))
    jobs: list[Job] = []

    def counting(job: Job) -> PackedIndex:
        jobs.append(job)
        return shared(tmp_path / "state")(job)

    def outcomes() -> list[Action]:
        policy = build(read_sources(path), compile_lists=counting).policy
        found = [policy.decide(request(client, name), at=NOON) for client in ("10.1.0.7", "10.0.0.7")
                 for name in ("name-number-7.a.example", "fresh.example")]  # fmt: skip
        return [outcome.action for outcome in found if isinstance(outcome, Decision)]

    assert outcomes() == [Action.BLOCK, Action.ALLOW, Action.ALLOW, Action.ALLOW]
    before = indexes(tmp_path)
    (tmp_path / "allowed.txt").write_text("name-number-7.a.example\n")
    (tmp_path / "blocked.txt").write_text("fresh.example\n")
    assert outcomes() == [Action.ALLOW, Action.BLOCK, Action.ALLOW, Action.ALLOW]
    assert len({job.key for job in jobs}) == 1
    assert indexes(tmp_path) == before != {}


def test_a_changed_list_is_compiled_again_and_a_start_without_changes_is_not(tmp_path: Path) -> None:
    active = ActivePolicy.start(deployment(tmp_path), clock)
    before = indexes(tmp_path)
    ActivePolicy.start(deployment(tmp_path), clock)
    assert indexes(tmp_path) == before
    deployment(tmp_path, extra="fresh.example\n")
    assert asyncio.run(active.reload())
    assert action(active, "fresh.example") is Action.BLOCK
    assert indexes(tmp_path).keys() > before.keys()


@pytest.mark.parametrize(("place", "octets"), [(5_000, b"?"), (0, b"sumunix2")])
def test_a_damaged_index_or_one_of_an_older_version_is_made_again(tmp_path: Path, place: int, octets: bytes) -> None:
    ActivePolicy.start(deployment(tmp_path), clock)
    (name,) = indexes(tmp_path)
    path = tmp_path / "state" / "lists" / name
    good = path.read_bytes()
    path.write_bytes(good[:place] + octets + good[place + len(octets) :])
    assert action(ActivePolicy.start(deployment(tmp_path), clock), "name-number-7.a.example") is Action.BLOCK
    assert path.read_bytes() == good


def test_the_last_good_policy_keeps_its_large_list(tmp_path: Path) -> None:
    ActivePolicy.start(deployment(tmp_path), clock)
    kept = json.loads((tmp_path / "state" / last_good.FILE_NAME).read_text())
    assert "far" not in kept["lists"]
    (tmp_path / "far.txt").write_text("<html>" * LARGE)
    deployment(tmp_path, first="{id: broken, action: blok}, ")
    active = ActivePolicy.start(tmp_path / "sumun.yaml", clock)
    assert not active.last_reload_ok
    assert action(active, "name-number-7.a.example") is Action.BLOCK


def test_without_its_index_a_last_good_policy_is_refused_with_the_faults(tmp_path: Path) -> None:
    ActivePolicy.start(deployment(tmp_path), clock)
    for name in indexes(tmp_path):
        (tmp_path / "state" / "lists" / name).unlink()
    large(tmp_path, "changed.example\n")
    deployment(tmp_path, first="{id: broken, action: blok}, ")
    with pytest.raises(ConfigError, match="blok"):
        ActivePolicy.start(tmp_path / "sumun.yaml", clock)


def test_old_indexes_are_removed(tmp_path: Path) -> None:
    active = ActivePolicy.start(deployment(tmp_path), clock)
    for n in range(4):
        deployment(tmp_path, extra=f"fresh{n}.example\n")
        assert asyncio.run(active.reload())
    assert len(indexes(tmp_path)) == 3
    assert action(active, "fresh3.example") is Action.BLOCK


def test_a_large_list_that_is_not_utf_8_is_a_fault(tmp_path: Path) -> None:
    path = deployment(tmp_path)
    (tmp_path / "far.txt").write_bytes(b"a.example\n" + "수문\n".encode("euc-kr") * LARGE)
    with pytest.raises(ConfigError, match="line 2 is not UTF-8"):
        ActivePolicy.start(path, clock)


def job(path: Path, octets: bytes) -> Job:
    return Job((LargeList("far", "domains", str(path), sha256(octets).hexdigest(), guard=False),), ())


def options_of_compiler() -> list[bytes]:
    """What the compiler that this process started was told; it is the only process that it started."""
    for children in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        for pid in children.read_text().split():
            with suppress(OSError):
                told = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"sumun.loading.compiler" in told:
                    return told
    return []


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="the platform cannot work in its idle time only")
def test_where_there_is_no_idle_time_a_list_is_compiled_all_the_same(tmp_path: Path) -> None:
    """Whoever waits for a pipe gets as little of the processor as whoever waits for a core."""
    octets, pipe = b"name.example\n", tmp_path / "far.txt"
    os.mkfifo(pipe)

    def write() -> None:
        while True:
            with suppress(BrokenPipeError), pipe.open("wb", buffering=0) as out:  # as soon as somebody reads
                if b"--idle" in options_of_compiler():
                    watching = select.poll()
                    watching.register(out, select.POLLERR)
                    assert watching.poll(60_000), "it does not give up"
                    continue
                out.write(octets)
                return

    with ThreadPoolExecutor() as elsewhere:
        writing = elsewhere.submit(write)
        index = shared(tmp_path, gently=True)(job(pipe, octets))
        writing.result()
    assert index.lookup(DomainName.parse("x.name.example")) == [["far"]]


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="the platform cannot work in its idle time only")
def test_a_compiler_that_gets_no_idle_time_says_so() -> None:
    command = [sys.executable, "-m", "sumun.loading.compiler", "--idle"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as waiting:
        assert waiting.wait(60) == STARVED


def test_a_list_is_compiled_in_idle_time(tmp_path: Path) -> None:
    octets = b"name.example\n"
    (tmp_path / "far.txt").write_bytes(octets)
    index = shared(tmp_path, gently=True)(job(tmp_path / "far.txt", octets))
    assert index.lookup(DomainName.parse("x.name.example")) == [["far"]]


def test_a_start_does_not_wait_for_a_list_that_changed_and_takes_it_over_soon(tmp_path: Path) -> None:
    ActivePolicy.start(deployment(tmp_path), clock)
    before = indexes(tmp_path)
    deployment(tmp_path, extra="fresh.example\n")
    again = ActivePolicy.start(tmp_path / "sumun.yaml", clock, at_once=True)
    assert indexes(tmp_path) == before, "nothing was compiled"
    assert action(again, "name-number-7.a.example") is Action.BLOCK
    assert action(again, "fresh.example") is Action.ALLOW

    async def watched() -> bool:
        results: asyncio.Queue[bool] = asyncio.Queue()
        watching = asyncio.create_task(again.watch(0.01, reloaded=results.put_nowait))
        try:
            return await results.get()
        finally:
            watching.cancel()

    assert asyncio.run(watched())
    assert action(again, "fresh.example") is Action.BLOCK
    large(tmp_path, "fresher.example\n")
    assert action(ActivePolicy.start(tmp_path / "sumun.yaml", clock), "fresher.example") is Action.BLOCK, "else it does"


def test_a_faulty_change_is_told_though_a_list_changed_too(tmp_path: Path) -> None:
    ActivePolicy.start(deployment(tmp_path), clock)
    deployment(tmp_path, first="{id: broken, action: blok}, ", extra="fresh.example\n")
    again = ActivePolicy.start(tmp_path / "sumun.yaml", clock, at_once=True)
    assert not again.last_reload_ok
    assert action(again, "name-number-7.a.example") is Action.BLOCK
