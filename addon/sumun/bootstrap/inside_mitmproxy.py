"""What a mitmproxy that somebody else runs is given."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sumun.bootstrap.clock import now
from sumun.bootstrap.commands import prepare
from sumun.bootstrap.process import Process, beginnings, upstreams_of
from sumun.bootstrap.proxy import book
from sumun.bootstrap.role import Role


def mitmproxy_addons() -> list[object]:
    """What addon/sumun_addon.py gives to a mitmproxy that somebody else runs."""
    from sumun.proxy.shim import Shim

    return [Shim(_inside_mitmproxy)]


def _inside_mitmproxy(config: Path) -> list[object]:
    from sumun.pages.render import render
    from sumun.proxy.server import standalone_addon

    prepare(config, [Role.PROXY])
    process = beginnings(config, f"{Role.PROXY}-0")
    settings = process.settings
    addon = standalone_addon(
        settings=settings,
        policy=process.policy,
        organisation=process.organisation,
        events=process.recorder,
        metrics=process.metrics,
        resolver=upstreams_of(settings, process.metrics),
        pages=render,
        ca_folder=settings.state / "ca",
        clock=now,
        book=book(process),
    )
    return [addon, _Chores(process)]


class _Chores:
    """What goes on beside the hooks, as an addon: watching files and store, writing events."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._tasks: list[asyncio.Future[None]] = []

    def running(self) -> None:
        self._tasks = [asyncio.ensure_future(chore) for chore in self._process.chores()]

    def done(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._process.watch.store.close()
        self._process.recorder.close()
