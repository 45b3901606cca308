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
LAST = select.EPOLLRDHUP
"""The other side has said its last word, which may still have to be read."""
BROKEN = select.EPOLLERR
HUNG_UP = select.EPOLLHUP
HEARD = READ | LAST | select.EPOLLET
"""What comes, each change told once. Events that are told until they are dealt with need a system call whenever they
are not wanted, two for each tunnel at the least."""
STREAM = HEARD | WRITE
"""The same, and when it can be written to."""
_BATCH = 64
_BATCHES = 4
"""Events in a row, and how often we look for more, before asyncio's other work has its turn: to come back here by way
of its loop costs ten times as much as to look once more."""

type Handler = Callable[[int], None]
"""Takes the events of one descriptor."""


class Watch:
    """Calls the handlers of descriptors on which something has happened; open it inside the running loop."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._known: dict[int, Handler] = {}
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
        self._known[fd] = handler

    def take(self, fd: int, handler: Handler) -> None:
        """Take a stream over from whoever had it watched, if anybody had."""
        if fd not in self._known:
            self._epoll.register(fd, STREAM)
        self._known[fd] = handler

    def again(self, fd: int) -> None:
        """Tell again how it is with a stream, and from now on when it can be written to, too."""
        if fd in self._known:
            self._epoll.modify(fd, STREAM)

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
        for _ in range(_BATCHES):
            if self._epoll.closed or not (batch := self._epoll.poll(0, _BATCH)):
                break
            self._handle(batch)

    def _handle(self, batch: list[tuple[int, int]]) -> None:
        dropped, known = self._dropped, self._known
        dropped.clear()
        for fd, events in batch:
            if fd in dropped or (handler := known.get(fd)) is None:
                continue
            try:
                handler(events)
            except Exception:
                logger.exception("a connection failed")
                self.drop(fd)  # what it holds is closed when it is collected; the others go on
