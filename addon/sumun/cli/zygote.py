"""The supervisor's side of zygotes: processes that have loaded what others need, and fork them.

The first one has loaded what all roles need, and forks one for each role, which loads the rest and forks the workers.
A worker then starts in hundredths of a second where a new interpreter takes seconds, and shares what was loaded. No
zygote holds a policy, so none grows old: a worker reads the files as they are when it starts. All of them belong to
the supervisor, none to the one that forked it, and live on when that dies. See ``forking`` for the other side.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from sumun.cli.child import Child, Children

log = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds for a process to be forked, loading what it needs included."""
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
"""Seconds between restarts of a zygote that keeps dying, doubling from one to the other."""
_ATTEMPTS = 2
"""That a zygote is dead may be found out by asking it."""


class Process(Protocol):
    """One that was started or forked."""

    @property
    def returncode(self) -> int | None:
        """Its exit status; None: it runs."""
        ...

    def kill(self) -> None:
        """End it."""
        ...

    async def wait(self) -> object:
        """Wait for its end."""
        ...


type Start = Callable[[int], Awaitable[Process]]
"""Have a process take orders from this descriptor."""


class Zygote:
    """Has the process started, and another one when it dies; forks one process at a time."""

    def __init__(self, name: str, start: Start, children: Children) -> None:
        """The name is for messages."""
        self._name, self._start, self._children = name, start, children
        self._alone = asyncio.Lock()
        self._process: Process | None = None
        self._orders: socket.socket | None = None
        self._dismissed = False

    @classmethod
    def first(cls, config: Path, children: Children) -> Zygote:
        """The one that all others are forked from, a new interpreter."""
        started = list[int]()

        async def start(descriptor: int) -> Process:
            command = [sys.executable, "-m", "sumun", "zygote", "--config", str(config)]
            with children.expecting() as others:
                others.difference_update(started)
                process = await asyncio.create_subprocess_exec(
                    *command, "--orders-fd", str(descriptor), pass_fds=(descriptor,),
                    stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
                )  # fmt: skip
                others.add(process.pid)
            started[:] = [process.pid]
            return process

        return cls("zygote", start, children)

    def of(self, role: str) -> Zygote:
        """One for the workers of a role, forked from this one."""
        return Zygote(f"{role}-zygote", lambda descriptor: self.fork(role, [descriptor]), self._children)

    async def keep(self) -> None:
        """Have the process running until cancelled."""
        delay = _FIRST_DELAY
        while True:
            async with self._alone:
                process, _ = await self._running()
            began = asyncio.get_running_loop().time()
            await process.wait()
            if asyncio.get_running_loop().time() - began > _LONGEST_DELAY * 2:
                delay = _FIRST_DELAY
            status = process.returncode
            log.error("%s ended with status %s: starting another in %.1f s", self._name, status, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def fork(self, name: str, files: Sequence[int]) -> Child:
        """A new process of this name, which has these descriptors; one that has ended where none could be forked."""
        async with self._alone:
            for _ in range(_ATTEMPTS):
                if self._dismissed:
                    break
                with self._children.expecting():
                    if pid := await self._ask(name, files):
                        return self._children.adopt(pid)
        return Child(0, returncode=1)

    async def dismiss(self) -> None:
        """End the process at once: it holds nothing, and forks no more."""
        self._dismissed = True
        await self._end()
        async with self._alone:  # whoever still asks has learnt of it
            await self._end()  # one that was just being started
            if self._orders:
                self._orders.close()

    async def _end(self) -> None:
        if self._process:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()

    async def _ask(self, name: str, files: Sequence[int]) -> int:
        """The id of a new process, or nought; what does not answer is ended."""
        _, orders = await self._running()
        try:
            socket.send_fds(orders, [name.encode()], files)
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(orders, 32), _PATIENCE)
        except OSError:  # a time-out is one
            answer = b""
        if not answer:
            await self._end()
        return int(answer or 0)

    async def _running(self) -> tuple[Process, socket.socket]:
        if self._process and self._orders and self._process.returncode is None:
            return self._process, self._orders
        if self._orders:
            self._orders.close()
        self._orders, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self._orders.setblocking(False)
        with theirs:
            self._process = await self._start(theirs.fileno())
        return self._process, self._orders
