"""A client while the gate still listens to it: what it has said is kept, and bounded, until somebody takes over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from sumun.model.name import IPAddress, plain
from sumun.model.user import Identity
from sumun.proxy.destination import Destination
from sumun.proxy.opening import LIMIT, Unreadable
from sumun.proxy.watch import READ, Watch

type Attend = Callable[[Caller], Coroutine[Any, Any, None]]

_AT_ONCE = 64 * 1024
"""Octets read in one go."""
_DRAINED = 4
"""Reads of what a client goes on saying when we part: closing over unread octets would reset the connection, and the
client might not see our last word."""


class Caller:
    """One accepted connection; ``attend`` runs as its task."""

    task: asyncio.Task[None]
    """Attends to it, until it is spliced or closed."""

    def __init__(self, watch: Watch, sock: socket.SocketType, client: IPAddress, here: IPAddress) -> None:
        self.client = client
        self.here = here
        """The address of ours at which it arrived."""
        self.ended = False
        """Whether the client has said its last word."""
        self.who: Identity | None = None
        """Whose connection it is, once ``asked``."""
        self.asked = False
        self.original: Destination | None = None
        """Where the client was going when the firewall led it here."""
        self.transport: asyncio.WriteTransport | None = None
        """Once it is asyncio's."""
        self.watch = watch
        self._sock = sock
        self._fd = sock.fileno()
        self._watched = False
        self._said = b""
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0

    async def read[T](self, parse: Callable[[bytes], T | None], *, within: float) -> T:
        """Wait until ``parse`` makes something of what was said; raises Unreadable, or TimeoutError after seconds.

        It is the regular look of ``expire`` that ends the waiting: a timer for every connection would cost more than
        most connections.
        """
        loop = asyncio.get_running_loop()
        self._deadline = loop.time() + within
        while (result := parse(self._said)) is None:
            if self.ended or len(self._said) >= LIMIT:
                raise Unreadable("the client stopped short" if self.ended else "the client never came to the point")
            if not self._receive():
                self._waiter = loop.create_future()
                self._listen()
                await self._waiter
        return result

    def expire(self, now: float) -> None:
        """End the waiting if its time is over."""
        if self._waiter and not self._waiter.done() and now > self._deadline:
            self._waiter.set_exception(TimeoutError())

    @property
    def silent(self) -> bool:
        """Whether the client came and went without a word, as probes of availability do."""
        return self.ended and not self._said

    def forget(self, count: int) -> None:
        """Drop what has been dealt with."""
        self._said = self._said[count:]

    def said(self, count: int) -> bytes:
        """The first octets of what was not dealt with yet."""
        return self._said[:count]

    def say(self, words: bytes) -> None:
        """Answer, in few words: they fit into the kernel's buffer."""
        with suppress(OSError):  # a client that has gone is noticed when it is read
            self._sock.send(words)

    def release(self) -> tuple[socket.SocketType, bytes]:
        """Give the connection, watched or not, to somebody else, with what was said so far."""
        said, self._said = self._said, b""
        return self._sock, said

    def close(self, last_word: bytes = b"") -> None:
        """Close cleanly, after a last word."""
        if last_word:
            self.say(last_word)
        with suppress(OSError):
            for _ in range(_DRAINED):
                if not self._sock.recv(_AT_ONCE):
                    break
        self.watch.forget(self._fd)
        self._sock.close()

    def abort(self) -> None:
        """End it now, whoever has it."""
        if self.transport:
            self.transport.abort()
        else:
            self.task.cancel()

    def _listen(self) -> None:
        if not self._watched:
            self._watched = True
            self.watch.add(self._fd, READ, self._on_events)

    def _on_events(self, _: int) -> None:
        """Keep what comes while nobody waits for it, too; a client that talks on without being asked is not read."""
        self._receive()
        if self.ended or len(self._said) >= LIMIT:
            self._watched = False
            self.watch.drop(self._fd)
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _receive(self) -> bool:
        """Whether something came, the end included."""
        try:
            data = self._sock.recv(_AT_ONCE)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self._said += data
        self.ended = not data
        return True


@lru_cache(maxsize=8192)
def plain_address(text: str) -> IPAddress:
    """Read an address as sockets name it, a zone left out."""
    return plain(ip_address(text.partition("%")[0]))
