"""Waiting for worker processes, which a zygote makes and leaves to the supervisor.

The kernel gives a process that lost its parent to its nearest ancestor that asked for such (PR_SET_CHILD_SUBREAPER,
prctl(2)). So whoever asks must also take the dead ones that nobody waits for, as process 1 does.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PR_SET_CHILD_SUBREAPER = 36
_LATER = 0.1
"""Seconds after which one that another waits for has been taken."""


@dataclass(eq=False)
class Child:
    """A child of this process."""

    pid: int
    returncode: int | None = None
    """Its exit status, negative for the signal that ended it; None: it runs."""
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> None:
        """Wait for its end."""
        if self.returncode is None:
            await self._ended.wait()

    def look(self) -> None:
        """Take its exit status if it has ended."""
        if self.returncode is not None:
            return
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self.pid, 255 << 8  # somebody took it; as asyncio says it
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)
            self._ended.set()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal unless it has ended; its id is nobody else's before its status is taken."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Children:
    """Those that were left to this process, and the dead that nobody waits for."""

    def __init__(self) -> None:
        """Become their parent; in the main thread with a running loop."""
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "becoming the parent of orphans")
        self._living: dict[int, Child] = {}
        self._others: set[int] = set()
        self._expected = 0
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._look)

    def adopt(self, pid: int) -> Child:
        """Wait for this one."""
        child = self._living[pid] = Child(pid)
        child.look()  # the signal may have come before
        return child

    @contextmanager
    def expecting(self) -> Iterator[set[int]]:
        """Within it there are children whose ids are not known yet.

        Gives the ids of those that others wait for, to be added to and taken from.
        """
        self._expected += 1
        try:
            yield self._others
        finally:
            self._expected -= 1
            self._look()

    def _look(self) -> None:
        for child in list(self._living.values()):
            child.look()
            if child.returncode is not None:
                del self._living[child.pid]
        if not self._expected:
            self._bury()

    def _bury(self) -> None:
        """Take the status of what workers started that did not live to take it."""
        with suppress(ChildProcessError):
            while found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if found.si_pid in self._others:
                    asyncio.get_running_loop().call_later(_LATER, self._look)
                    return  # whoever waits for it will take it first
                os.waitpid(found.si_pid, 0)
