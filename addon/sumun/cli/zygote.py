"""The supervisor's side of a zygote: a process that has loaded all that a role needs, and forks its workers.

A worker then starts in hundredths of a second where a new interpreter takes seconds, and shares what was loaded. The
zygote holds no policy, so it never grows old: a worker reads the files as they are when it starts. It is not the
workers' parent: they belong to the supervisor, and live on if the zygote dies. See ``forking`` for its own side.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from sumun.cli.child import Child, Children

log = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds for a worker to be forked, loading what the role needs included."""
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
"""Seconds between restarts of a zygote that keeps dying, doubling from one to the other."""
_ATTEMPTS = 2
"""That a zygote is dead may be found out by asking it."""


class Zygote:
    """Starts the process, and another one when it dies; forks one worker at a time."""

    def __init__(self, role: str, config: Path, children: Children) -> None:
        """For the workers of one role, with the configuration at this path."""
        self._role, self._config, self._children = role, config, children
        self._alone = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._orders: socket.socket | None = None
        self._dismissed = False

    async def keep(self) -> None:
        """Have the process running until cancelled."""
        delay = _FIRST_DELAY
        while True:
            async with self._alone:
                process, _ = await self._running()
            began = asyncio.get_running_loop().time()
            status = await process.wait()
            if asyncio.get_running_loop().time() - began > _LONGEST_DELAY * 2:
                delay = _FIRST_DELAY
            log.error("%s-zygote ended with status %s: starting another in %.1f s", self._role, status, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)

    async def fork(self, index: int, files: Sequence[int]) -> Child:
        """A new worker, which has these descriptors; one that has ended where none could be forked."""
        async with self._alone:
            for _ in range(_ATTEMPTS):
                if self._dismissed:
                    break
                with self._children.expecting():
                    if pid := await self._ask(index, files):
                        return self._children.adopt(pid)
        return Child(0, returncode=1)

    async def dismiss(self) -> None:
        """End the process at once: it holds nothing, and forks no more."""
        self._dismissed = True
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        async with self._alone:  # whoever still asks learns of it
            if self._orders:
                self._orders.close()

    async def _ask(self, index: int, files: Sequence[int]) -> int:
        """The id of a new worker, or nought; what does not answer is ended."""
        process, orders = await self._running()
        try:
            socket.send_fds(orders, [str(index).encode()], files)
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(orders, 32), _PATIENCE)
        except OSError:  # a time-out is one
            answer = b""
        if not answer:
            if process.returncode is None:
                process.kill()
            await process.wait()
        return int(answer or 0)

    async def _running(self) -> tuple[asyncio.subprocess.Process, socket.socket]:
        if self._process and self._orders and self._process.returncode is None:
            return self._process, self._orders
        if self._orders:
            self._orders.close()
        self._orders, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        self._orders.setblocking(False)
        with theirs, self._children.expecting() as others:
            if self._process:
                others.discard(self._process.pid)
            self._process = await asyncio.create_subprocess_exec(
                *[sys.executable, "-m", "sumun", "zygote", self._role, "--config", str(self._config)],
                *["--orders-fd", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),), stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
            others.add(self._process.pid)
        return self._process, self._orders
