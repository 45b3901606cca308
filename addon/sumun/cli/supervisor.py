"""Keeps the worker processes of the chosen roles running, replaces those that ail, and ends them together.

A worker says ``ready`` on a pipe when it serves, and goes on to beat there; it leaves when the other pipe, its
lifeline, is closed: so no worker outlives the supervisor, however that ends. Reloading is the workers' own affair;
SIGHUP is passed on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sumun.cli.child import Child, Children
from sumun.cli.zygote import Zygote

log = logging.getLogger(__name__)

_START_LIMIT = 60.0
"""Seconds for a worker to say that it serves."""
_STOP_LIMIT = 15.0
"""Seconds for a worker to finish what it has begun, beside its time to drain, before it is killed."""
STALLED = 30.0
"""Seconds without a beat, of which there is one each second, after which a worker counts as stalled."""
_LOOK = 2.0
"""Seconds between two looks at the health of a worker."""
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
"""Seconds between restarts of a worker that keeps dying, doubling from one to the other."""
_SERVED_DELAY = 0.5
"""The longest for one that has served: another may serve as well, and costs little to start."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


class StartFailed(Exception):
    """A worker ended before it ever served; it has said why on standard error."""


@dataclass(frozen=True, slots=True)
class Care:
    """What is expected of the workers of one role."""

    role: str
    count: int
    memory: int | None = None
    """MiB that one may have."""
    drain: float = 0.0
    """Seconds that it may take to end, beside those that all have."""
    stalled: float = STALLED


@dataclass(eq=False)
class Worker:
    """One process."""

    name: str
    process: Child
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    beat: float = 0.0
    """When it was heard of last, on the loop's clock."""

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    def memory(self) -> int:
        """MiB that it has; nought: it has ended."""
        try:
            resident = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        except OSError:
            return 0
        return int(resident) * _PAGE >> 20


class Supervisor:
    """Starts workers, restarts those that die, replaces those that ail, passes signals on."""

    def __init__(self, config: Path, roles: Sequence[Care]) -> None:
        """Take the configuration's path and what is expected of each role."""
        self._config = config
        self._roles = roles
        self._workers: set[Worker] = set()
        self._zygotes: dict[str, Zygote] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._waiting = sum(care.count for care in roles)
        """Workers that have not served yet."""
        self._all_ready = asyncio.Event()
        self._lifeline_read, self._lifeline_write = os.pipe()

    async def run(self, *, on_ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; raises StartFailed if a worker cannot start the first time.

        A second signal has the workers end at once.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        children = Children()
        first = Zygote.first(self._config, children)
        self._zygotes = {care.role: first.of(care.role) for care in self._roles}
        zygotes = [asyncio.create_task(zygote.keep()) for zygote in (first, *self._zygotes.values())]
        keepers = [asyncio.create_task(self._keep(care, index)) for care in self._roles for index in range(care.count)]
        announcer = asyncio.create_task(self._announce(on_ready))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([stop, *keepers], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (announcer, *zygotes):
                task.cancel()
            if not self._stopping.is_set():
                self._stop()
            await asyncio.gather(*(zygote.dismiss() for zygote in (first, *self._zygotes.values())))
            results = await asyncio.gather(*keepers, *self._retiring, return_exceptions=True)
            os.close(self._lifeline_write)
        for failure in results:
            if isinstance(failure, BaseException):
                raise failure

    def _stop(self) -> None:
        self._stopping.set()
        self._pass_on(signal.SIGTERM)

    async def _announce(self, on_ready: Callable[[], None]) -> None:
        await self._all_ready.wait()
        on_ready()

    async def _keep(self, care: Care, index: int) -> None:
        """Have one worker running, or another in its place."""
        delay, worker = _FIRST_DELAY, await self._first(care, index)
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            why = await self._watch(worker, care)
            if self._stopping.is_set():
                break
            if worker.is_running:
                log.error("%s %s: another takes its place", worker.name, why)
                worker = await self._replace(worker, care, index)
                continue
            if asyncio.get_running_loop().time() - began > _LONGEST_DELAY * 2:
                delay = 0.0  # it served for long: what killed it does not wait for it
            status, wait = worker.process.returncode, min(delay, _SERVED_DELAY) if worker.ready.is_set() else delay
            log.error("%s ended with status %s: starting it again in %.1f s", worker.name, status, wait)
            await self._pause(wait)
            delay = min(max(delay * 2, _FIRST_DELAY), _LONGEST_DELAY)
            if not self._stopping.is_set():
                worker = await self._start(care, index)
        await self._end(worker, care)

    async def _first(self, care: Care, index: int) -> Worker:
        worker = await self._start(care, index)
        if not worker.ready.is_set() and not self._stopping.is_set():
            raise StartFailed(worker.name)
        self._waiting -= 1
        if not self._waiting and not self._stopping.is_set():
            self._all_ready.set()
        return worker

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _watch(self, worker: Worker, care: Care) -> str:
        """Wait for the end of a worker, or of all; or until it ails, and say how."""
        ended = asyncio.create_task(worker.process.wait())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            while True:
                done, _ = await asyncio.wait([ended, stop], timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
                if done:
                    return ""
                if not worker.ready.is_set():
                    continue
                if asyncio.get_running_loop().time() - worker.beat > care.stalled:
                    return f"has not answered for {care.stalled:.0f} s"
                if care.memory and (used := worker.memory()) > care.memory:
                    return f"has {used} MiB of at most {care.memory}"
        finally:
            ended.cancel()
            stop.cancel()

    async def _replace(self, worker: Worker, care: Care, index: int) -> Worker:
        """Have another one serve before this one goes, so that nobody is refused meanwhile."""
        heir = await self._start(care, index)
        if not heir.ready.is_set() and not self._stopping.is_set():
            log.error("%s: what should take its place does not serve", worker.name)
        retiring = asyncio.create_task(self._retire(worker, care))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)
        return heir

    async def _retire(self, worker: Worker, care: Care) -> None:
        if asyncio.get_running_loop().time() - worker.beat > care.stalled:
            worker.process.kill()
        elif worker.is_running:
            worker.process.terminate()
        await self._end(worker, care)

    async def _end(self, worker: Worker, care: Care) -> None:
        """Wait for the end of a worker that was told to go, and see to it."""
        limit = _STOP_LIMIT + care.drain
        try:
            await asyncio.wait_for(worker.process.wait(), limit)
        except TimeoutError:
            log.error("%s did not end within %.0f s: killed", worker.name, limit)  # noqa: TRY400  # the traceback would only show the wait
            worker.process.kill()
            await worker.process.wait()
        self._workers.discard(worker)

    async def _start(self, care: Care, index: int) -> Worker:
        """Start a process and wait until it serves, ends, or has taken too long and is killed."""
        ready_read, ready_write = os.pipe()
        process = await self._zygotes[care.role].fork(str(index), [ready_write, self._lifeline_read])
        os.close(ready_write)
        worker = Worker(f"{care.role}-{index}", process)
        self._workers.add(worker)
        if self._stopping.is_set():
            process.terminate()  # the signal went to the others while this one began
        self._hear(worker, ready_read)
        await self._await_ready(worker)
        if not worker.is_running:
            self._workers.discard(worker)
        return worker

    async def _await_ready(self, worker: Worker) -> None:
        waiting = [asyncio.create_task(worker.ready.wait()), asyncio.create_task(worker.process.wait())]
        done, _ = await asyncio.wait(waiting, timeout=_START_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        if not done:
            log.error("%s did not serve within %.0f s of its start: killed", worker.name, _START_LIMIT)
            worker.process.kill()
            await worker.process.wait()

    def _hear(self, worker: Worker, descriptor: int) -> None:
        """Listen to a worker until it ends: the first word says that it serves, every other that it still does."""
        loop = asyncio.get_running_loop()

        def read() -> None:
            if os.read(descriptor, 4096):
                worker.beat = loop.time()
                worker.ready.set()
            else:
                loop.remove_reader(descriptor)
                os.close(descriptor)

        loop.add_reader(descriptor, read)

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers:
            if worker.is_running:
                worker.process.send_signal(number)
