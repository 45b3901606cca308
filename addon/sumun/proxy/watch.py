"""An epoll of our own inside asyncio's: what a spliced connection costs is mostly what stands between two system calls.

asyncio makes a transport, two callbacks and a selector key for each socket, and a handle and a context for each event.
A tunnel needs none of that. All sockets of tunnels, and of callers that are still listened to, are here; asyncio sees
one descriptor. (epoll(7): an epoll is readable while one of its descriptors has an event.)
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable

logger = logging.getLogger(__name__)

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
BROKEN = select.EPOLLERR
HUNG_UP = select.EPOLLHUP
NOTHING = 0
"""Errors and hang-ups are told all the same."""
_BATCH = 256
"""Events in a row, before asyncio's other work has its turn."""

type Handler = Callable[[int], None]
"""Takes the events of one descriptor."""


class Watch:
    """Calls the handlers of descriptors on which something has happened; open it inside the running loop."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._known: dict[int, tuple[Handler, int]] = {}
        self._dropped: set[int] = set()
        """Descriptors that went while a batch is dealt with: their number may be another socket's by now."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._epoll.fileno(), self._look)

    def close(self) -> None:
        """Watch no more; the descriptors are left to their owners."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._known.clear()

    def add(self, fd: int, events: int, handler: Handler) -> None:
        """Call the handler on these events, and on errors."""
        self._epoll.register(fd, events)
        self._known[fd] = handler, events

    def take(self, fd: int, events: int, handler: Handler) -> None:
        """Take a descriptor over from whoever had it watched, if anybody had."""
        known = self._known.get(fd)
        if known is None:
            self._epoll.register(fd, events)
        elif known[1] != events:
            self._epoll.modify(fd, events)
        self._known[fd] = handler, events

    def drop(self, fd: int) -> None:
        """Forget a descriptor that stays open."""
        if self._known.pop(fd, None):
            self._epoll.unregister(fd)
            self._dropped.add(fd)

    def forget(self, fd: int) -> None:
        """Forget a descriptor that is closed right after: the kernel does the rest."""
        if self._known.pop(fd, None):
            self._dropped.add(fd)

    def _look(self) -> None:
        self._dropped.clear()
        for fd, events in self._epoll.poll(0, _BATCH):
            if fd in self._dropped or (known := self._known.get(fd)) is None:
                continue
            try:
                known[0](events)
            except Exception:
                logger.exception("a connection failed")
                self.drop(fd)  # what it holds is closed when it is collected; the others go on
