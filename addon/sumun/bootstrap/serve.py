"""One process serving one role until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from sumun.bootstrap.clock import now
from sumun.bootstrap.process import Process, beginnings, upstreams_of
from sumun.bootstrap.role import Draining, Orders, Part, Role
from sumun.loading.active import ActivePolicy
from sumun.loading.record import ListStore
from sumun.loading.refresh import Refresher
from sumun.loading.subscriptions import updater


async def serve(role: Role, index: int, config: Path, *, orders: Orders, on_ready: Callable[[], None]) -> None:
    """Serve one role in this process until it is told to stop; raises OperatorFault where it cannot start."""
    _open_as_many_files_as_may_be()
    process = beginnings(config, f"{role}-{index}")
    active, recorder = process.active, process.recorder
    async with AsyncExitStack() as at_the_end:
        at_the_end.push_async_callback(asyncio.to_thread, recorder.close)
        at_the_end.push_async_callback(asyncio.to_thread, process.watch.store.close)
        await process.watch.look()
        part = _part(role)(process, at_the_end)
        at_the_end.push_async_callback(part.stop)
        await part.start()
        work = [*process.chores(), _reload_when(orders.reload, active)]
        if role is Role.CONSOLE:  # one process of a host fetches; all see the new copy
            work.append(_refreshing(process, at_the_end).run())
        on_ready()
        await _until(_stopped(part, orders), work)  # connections that still run need the chores


def _open_as_many_files_as_may_be() -> None:
    """A tunnel takes two, and a shell's usual limit of 1,024 is soon reached."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _part(role: Role) -> Callable[[Process, AsyncExitStack], Part]:
    """What puts this role together; a process imports its own role only, and mitmproxy is an extra."""
    match role:
        case Role.DNS:
            from sumun.bootstrap.sinkhole import sinkhole

            return sinkhole
        case Role.PROXY:
            from sumun.bootstrap.proxy import proxy

            return proxy
        case Role.CONSOLE:
            from sumun.bootstrap.console import console

            return console


def _refreshing(process: Process, at_the_end: AsyncExitStack) -> Refresher:
    started_with = process.settings
    upstreams = upstreams_of(started_with, process.metrics)
    at_the_end.push_async_callback(upstreams.close)
    return Refresher(
        lists=lambda: process.settings.lists,
        record=ListStore(started_with.state).record,
        update=updater(started_with, upstreams.addresses, now, os.environ).update,
        metrics=process.metrics,
        clock=now,
    )


async def _stopped(part: Part, orders: Orders) -> None:
    await orders.stop.wait()
    if isinstance(part, Draining):
        await part.drain(orders.hurry)


async def _until(stop: Awaitable[None], running: Sequence[Awaitable[None]]) -> None:
    """Wait for ``stop``; if one of the tasks fails, so does the process, and the supervisor starts it again."""
    tasks = [asyncio.ensure_future(work) for work in running]
    stopped = asyncio.ensure_future(stop)
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, *tasks):
        task.cancel()
    await asyncio.gather(stopped, *tasks, return_exceptions=True)
    for task in done - {stopped}:
        task.result()


async def _reload_when(asked: asyncio.Event, active: ActivePolicy) -> None:
    while True:
        await asked.wait()
        asked.clear()
        await active.reload()
