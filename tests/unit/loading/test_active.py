"""The policy in force: start, reload, watch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from sumun.config.fault import ConfigError
from sumun.loading.active import ActivePolicy, signature
from sumun.model.decision import Decision
from sumun.model.rule import Action
from tests.support.builders import NOON, request
from tests.unit.loading.support import clock, config


def action(active: ActivePolicy) -> Action:
    outcome = active.policy().decide(request("10.0.0.7", "chat.deepseek.com"), at=NOON)
    assert isinstance(outcome, Decision)
    return outcome.action


def test_a_reload_takes_what_is_good_and_keeps_it_against_what_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    active = ActivePolicy.start(config(tmp_path, "block"), clock)
    assert action(active) is Action.BLOCK
    assert active.last_reload_ok

    broken = config(tmp_path, "blok", more="unknown_clients: b\n")
    assert not asyncio.run(active.reload())
    assert action(active) is Action.BLOCK
    assert not active.last_reload_ok
    assert [fault.path for fault in active.faults] == ["/segments/a/rules/0/action", "/unknown_clients"]
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"reload failed, policy {active.current.revision} stays in force", *map(str, active.faults)]

    revision = active.current.revision
    assert config(tmp_path, "monitor") == broken
    assert asyncio.run(active.reload())
    assert action(active) is Action.MONITOR
    assert active.last_reload_ok
    assert active.current.revision != revision


def test_a_start_with_a_broken_configuration_uses_the_last_good_one(tmp_path: Path) -> None:
    first = ActivePolicy.start(config(tmp_path, "block"), clock)
    path = config(tmp_path, "monitor", more="segments: [\n")
    second = ActivePolicy.start(path, clock)
    assert action(second) is Action.BLOCK
    assert second.current.revision == first.current.revision
    assert not second.last_reload_ok
    assert second.faults

    config(tmp_path, "monitor")
    assert asyncio.run(second.reload())
    assert action(second) is Action.MONITOR
    assert second.last_reload_ok


def test_a_start_with_neither_is_refused_with_every_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        ActivePolicy.start(config(tmp_path, "blok", more="unknown_clients: b\n"), clock)
    assert len(caught.value.faults) == 2


def test_a_start_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or directory"):
        ActivePolicy.start(tmp_path / "none.yaml", clock)


def test_a_state_folder_that_cannot_be_written_is_no_reason_to_refuse(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file stands where the folder should be")
    assert action(ActivePolicy.start(config(tmp_path), clock)) is Action.BLOCK
    assert "keeping the last good policy in" in caplog.text


def test_changes_of_listeners_wait_for_a_restart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    active = ActivePolicy.start(config(tmp_path), clock)
    assert active.needs_restart == ()
    config(tmp_path, more="listen: {dns: {port: 5353}}\nupstreams: ['udp://192.0.2.53']\n")
    assert asyncio.run(active.reload())
    assert active.needs_restart == ("listen", "upstreams")
    assert "changes under `listen`, `upstreams` take effect after a restart" in caplog.text


def replaced(path: Path, write: Callable[[Path], Path]) -> None:
    """Change a file as editors do: write another, and rename it over the first."""
    folder = path.with_name("new")
    folder.mkdir()
    write(folder).replace(path)


async def watched(active: ActivePolicy, *changes: Callable[[], object]) -> list[bool]:
    """Make one change after another under a watch; returns what each reload came to."""
    results: asyncio.Queue[bool] = asyncio.Queue()
    watching = asyncio.create_task(active.watch(interval=0.01, reloaded=results.put_nowait))
    seen = []
    for change in changes:
        change()
        seen.append(await asyncio.wait_for(results.get(), timeout=20))
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert results.empty()
    return seen


def test_a_change_is_noticed_even_if_another_file_takes_its_place(tmp_path: Path) -> None:
    path = config(tmp_path, "block")
    active = ActivePolicy.start(path, clock)
    assert asyncio.run(watched(active, lambda: replaced(path, lambda folder: config(folder, "monitor")))) == [True]
    assert action(active) is Action.MONITOR


def test_a_broken_change_is_reported_once_and_a_sound_one_after_it_taken(tmp_path: Path) -> None:
    active = ActivePolicy.start(config(tmp_path, "block"), clock)
    changes = (lambda: config(tmp_path, "blok"), lambda: config(tmp_path, "monitor"))
    assert asyncio.run(watched(active, *changes)) == [False, True]
    assert action(active) is Action.MONITOR


def test_a_list_that_changes_or_appears_changes_the_signature(tmp_path: Path) -> None:
    path = config(tmp_path, more="lists: [{id: far, url: 'https://l.example/'}]\n")
    before = signature(path)
    copy = tmp_path / "state" / "lists" / "far.txt"
    copy.parent.mkdir(parents=True)
    copy.write_text("one.example\n")
    appeared = signature(path)
    copy.write_text("one.example\ntwo.example\n")
    assert len({before, appeared, signature(path)}) == 3
    assert signature(path) == signature(path)


def test_reloads_do_not_overlap(tmp_path: Path) -> None:
    active = ActivePolicy.start(config(tmp_path), clock)

    async def many() -> list[bool]:
        return await asyncio.gather(*(active.reload() for _ in range(5)))

    assert asyncio.run(many()) == [True] * 5
