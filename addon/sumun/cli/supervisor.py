"""Keeps the worker processes of the chosen roles running, and ends them together.

A worker says ``ready`` on a pipe when it serves, and leaves when the other pipe, its lifeline, is closed: so no
worker outlives the supervisor, however that ends. Reloading is the workers' own affair; SIGHUP is passed on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

_START_LIMIT = 60.0
"""Seconds for a worker to say that it serves."""
_STOP_LIMIT = 15.0
"""Seconds for a worker to finish what it has begun before it is killed."""
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
"""Seconds between restarts of a worker that keeps dying, doubling from one to the other."""


class StartFailed(Exception):
    """A worker ended before it ever served; it has said why on standard error."""


@dataclass
class Worker:
    """One process to keep alive."""

    role: str
    index: int
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    ready: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """Role and number: what its log lines and its metrics file are called."""
        return f"{self.role}-{self.index}"


class Supervisor:
    """Starts workers, restarts those that die, passes signals on."""

    def __init__(self, config: Path, roles: Sequence[tuple[str, int]]) -> None:
        """Take the configuration's path and pairs of a role and how many workers it has."""
        self._config = config
        self._workers = [Worker(role, index) for role, count in roles for index in range(count)]
        self._stopping = asyncio.Event()
        self._lifeline_read, self._lifeline_write = os.pipe()

    async def run(self, *, on_ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; raises StartFailed if a worker cannot start the first time."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        keepers = [asyncio.create_task(self._keep(worker)) for worker in self._workers]
        announcer = asyncio.create_task(self._announce(on_ready))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([stop, *keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            announcer.cancel()
            self._stopping.set()
            self._pass_on(signal.SIGTERM)
            os.close(self._lifeline_write)
            results = await asyncio.gather(*keepers, return_exceptions=True)
        for failure in results:
            if isinstance(failure, BaseException):
                raise failure

    async def _announce(self, on_ready: Callable[[], None]) -> None:
        for worker in self._workers:
            await worker.ready.wait()
        on_ready()

    async def _keep(self, worker: Worker) -> None:
        delay = _FIRST_DELAY
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            status = await self._live(worker)
            if self._stopping.is_set():
                return
            if not worker.ready.is_set():
                raise StartFailed(worker.name)
            if asyncio.get_running_loop().time() - began > _LONGEST_DELAY * 2:
                delay = 0.0  # it served for long: what killed it does not wait for it
            log.error("%s ended with status %s: starting it again in %.1f s", worker.name, status, delay)
            await self._pause(delay)
            delay = min(max(delay * 2, _FIRST_DELAY), _LONGEST_DELAY)

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _live(self, worker: Worker) -> int:
        """Run one process of this worker from its start to its end."""
        ready_read, ready_write = os.pipe()
        command = [sys.executable, "-m", "sumun", "worker", worker.role, str(worker.index)]
        files = ["--ready-fd", str(ready_write), "--lifeline-fd", str(self._lifeline_read)]
        worker.process = await asyncio.create_subprocess_exec(
            *command, "--config", str(self._config), *files,
            pass_fds=(ready_write, self._lifeline_read), stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        worker.starts += 1
        os.close(ready_write)
        watch = asyncio.create_task(self._await_ready(worker, ready_read))
        ended = asyncio.create_task(worker.process.wait())
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([ended, stop], return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await asyncio.wait([ended], timeout=_STOP_LIMIT)
        if not ended.done():
            log.error("%s did not end within %.0f s: killed", worker.name, _STOP_LIMIT)
            worker.process.kill()
        for task in (watch, stop):
            task.cancel()
        return await ended

    async def _await_ready(self, worker: Worker, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        said: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            loop.remove_reader(descriptor)
            said.set_result(os.read(descriptor, 16))

        loop.add_reader(descriptor, read)
        try:
            if await asyncio.wait_for(said, _START_LIMIT):
                worker.ready.set()
        except TimeoutError:
            log.error("%s did not serve within %.0f s of its start: killed", worker.name, _START_LIMIT)  # noqa: TRY400  # the traceback would only show the wait
            if worker.process:
                worker.process.kill()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.process and worker.process.returncode is None:
                worker.process.send_signal(number)
