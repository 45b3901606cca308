"""What a mitmproxy that somebody else runs is given."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sumun.bootstrap.commands import prepare
from sumun.bootstrap.process import Process, beginnings, upstreams_of
from sumun.bootstrap.proxy import parts
from sumun.bootstrap.role import Role

if TYPE_CHECKING:
    from sumun.proxy.authentication import Known  # mitmproxy is an extra


def mitmproxy_addons() -> list[object]:
    """What addon/sumun_addon.py gives to a mitmproxy that somebody else runs."""
    from sumun.proxy.shim import Shim

    return [Shim(_inside_mitmproxy)]


def _inside_mitmproxy(config: Path) -> list[object]:
    from sumun.proxy.server import standalone_addons

    prepare(config, [Role.PROXY])
    process = beginnings(config, f"{Role.PROXY}-0")
    made = parts(process, upstreams_of(process.settings, process.metrics))
    return [*standalone_addons(made), _Chores(process, made.users)]


class _Chores:
    """What goes on beside the hooks, as an addon: watching files and store, writing events."""

    def __init__(self, process: Process, users: Known | None) -> None:
        self._process, self._users = process, users
        self._tasks: list[asyncio.Future[None]] = []

    def running(self) -> None:
        self._tasks = [asyncio.ensure_future(chore) for chore in self._process.chores()]

    def done(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._users:
            self._users.close()
        self._process.watch.store.close()
        self._process.recorder.close()
