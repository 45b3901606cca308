"""What every serving process has."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from sumun.bootstrap.process import Process
from sumun.loading.active import ActivePolicy
from sumun.policy.engine import Policy
from sumun.policy.grants import NOTHING_GRANTED, Grants
from tests.unit.loading.support import clock, config


class Granted:
    """Stands for the watch of the store."""

    current: Grants = NOTHING_GRANTED


def process(folder: Path) -> Process:
    nothing = cast("Any", None)
    return Process(
        ActivePolicy.start(config(folder, "block"), clock), nothing, nothing, cast("Any", Granted()), nothing
    )


def test_a_part_gets_ready_for_the_very_policy_that_is_then_in_force(tmp_path: Path) -> None:
    it = process(tmp_path)
    before, prepared = it.policy(), []

    async def prepare(policy: Policy) -> None:
        await asyncio.sleep(0)
        assert it.policy() is before
        prepared.append(policy)

    it.preparing(prepare)
    config(tmp_path, "monitor")
    assert asyncio.run(it.active.reload())
    assert prepared == [it.policy()]
    assert prepared[0] is it.policy()
    assert it.policy().revision == it.active.current.revision != before.revision


def test_what_is_granted_meanwhile_is_in_force_all_the_same(tmp_path: Path) -> None:
    it = process(tmp_path)
    granted = Grants([])

    async def prepare(_: Policy) -> None:
        it.watch.current = granted

    it.preparing(prepare)
    config(tmp_path, "monitor")
    assert asyncio.run(it.active.reload())
    assert it.policy().grants is granted
    assert it.policy().revision == it.active.current.revision
