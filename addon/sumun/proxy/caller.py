"""A client while the gate still listens to it: what it has said is kept, and bounded, until somebody takes over."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from time import monotonic
from types import coroutine
from typing import Any

from sumun.model.name import IPAddress, plain
from sumun.model.user import Identity
from sumun.proxy.destination import Destination
from sumun.proxy.opening import LIMIT, Unreadable
from sumun.proxy.watch import BROKEN, HEARD, HUNG_UP, LAST, STREAM, WRITE, Watch

type Attend = Callable[[Caller], Coroutine[Any, Any, None]]

IDLE = 900.0
"""Seconds without an octet on a connection that is served here or by mitmproxy; long polls end within minutes."""
_AT_ONCE = 64 * 1024
"""Octets read in one go."""
_DRAINED = 4
"""Reads of what a client goes on saying when we part: closing over unread octets would reset the connection, and the
client might not see our last word."""


class Caller:
    """One accepted connection, and the course of what is done with it until it is spliced or closed.

    The course is a coroutine, driven from here by the events of its sockets: by asyncio it would need a task, and a
    future for each wait, which was an eighth of what a tunnel costs. So it may await futures and tasks, but nothing
    that must itself run in a task, such as ``asyncio.timeout``.
    """

    __slots__ = (
        "_awaited", "_course", "_deadline", "_fd", "_gone", "_on_over", "_said", "_sock", "_waiting", "_watched",
        "_writing", "asked", "came_from", "client", "ended", "has_opened", "here", "is_idle", "is_late", "is_spliced",
        "original", "over", "transport", "watch", "who",
    )  # fmt: skip

    _course: Coroutine[Any, Any, None]
    _on_over: Callable[[Caller], None]

    def __init__(
        self, watch: Watch, sock: socket.SocketType, client: IPAddress, here: IPAddress, came_from: str = ""
    ) -> None:
        self.client = client
        self.came_from = came_from
        """The address of the socket's other end, whoever a parent says that it is."""
        self.has_opened = self.is_spliced = False
        self.is_late: Callable[[float], bool] | None = None
        """Once it is mitmproxy's: whether it has not said in time what it wants."""
        self.here = here
        """The address of ours at which it arrived."""
        self.ended = False
        """Whether the client has said its last word."""
        self.who: Identity | None = None
        """Whose connection it is, once ``asked``."""
        self.asked = False
        self.over = False
        """Whether the course has come to its end."""
        self.original: Destination | None = None
        """Where the client was going when the firewall led it here."""
        self.transport: asyncio.WriteTransport | None = None
        """Once it is asyncio's."""
        self.is_idle: Callable[[], bool] | None = None
        """Once it is mitmproxy's: whether no request is under way."""
        self.watch = watch
        self._sock = sock
        self._fd = sock.fileno()
        self._watched = False
        self._said = b""
        self._waiting = False
        """Whether the course waits for the next words."""
        self._writing = False
        """Whether the course waits until the client takes more; nothing it says is read meanwhile."""
        self._deadline = math.inf
        self._awaited: asyncio.Future[Any] | None = None
        self._gone: asyncio.Future[None] | None = None

    def begin(self, attend: Attend, on_over: Callable[[Caller], None]) -> None:
        """Set out; ``on_over`` is told of the end."""
        self._course, self._on_over = attend(self), on_over
        self._receive()  # most have spoken before they were accepted
        self.go_on()

    def go_on(self, _: object = None) -> None:
        """Go on: what the course has waited for is there."""
        self._awaited = None
        self._advance(self._course.send, None)

    def pause(self, within: float) -> Awaitable[None]:
        """Wait until ``go_on``; raises TimeoutError after so many seconds.

        It is the regular look of ``expire`` that ends the waiting: a timer for every connection would cost more than
        most connections.
        """
        self._deadline = monotonic() + within
        return _turn()

    def heard[T](self, parse: Callable[[bytes], T | None]) -> T | None:
        """What ``parse`` makes of what was said; None: nothing yet. Raises Unreadable."""
        return parse(self._said) if self._said else None

    async def read[T](self, parse: Callable[[bytes], T | None], *, within: float) -> T:
        """Wait until ``parse`` makes something of what was said; raises Unreadable, or TimeoutError after seconds."""
        deadline = monotonic() + within
        while (result := parse(self._said) if self._said else None) is None:
            if self.ended or len(self._said) >= LIMIT:
                raise Unreadable("the client stopped short" if self.ended else "the client never came to the point")
            if not self._watched:
                self._watched = True
                self.watch.add(self._fd, HEARD, self._on_events)
            self._deadline, self._waiting = deadline, True
            await _turn()
        return result

    def expire(self, now: float) -> None:
        """End the waiting if its time is over; takes the clock of ``monotonic``, which is asyncio's too."""
        if now > self._deadline:
            self._advance(self._course.throw, TimeoutError())

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
        try:  # noqa: SIM105 - `suppress` takes three calls more for every tunnel
            self._sock.send(words)
        except OSError:
            pass  # a client that has gone is noticed when it is read

    async def deliver(self, words: bytes, *, within: float) -> bool:
        """Answer at any length; whether the client has taken it all, never pausing for longer than so many seconds."""
        try:
            words = words[self._send(words) :]
            while words:
                await self._until_it_takes_more(within)
                words = words[self._send(words) :]
        except (OSError, TimeoutError):
            return False
        return True

    def _send(self, words: bytes) -> int:
        """How much the kernel has taken; raises OSError where the client has gone."""
        try:
            return self._sock.send(words)
        except BlockingIOError:
            return 0

    async def _until_it_takes_more(self, within: float) -> None:
        if self._watched:
            self.watch.again(self._fd)
        else:
            self._watched = True
            self.watch.add(self._fd, STREAM, self._on_events)
        self._writing = True
        try:
            await self.pause(within)
        finally:
            self._writing = False
            self.watch.again(self._fd)  # what it has said meanwhile was not looked at

    async def give_way(self) -> None:
        """Let everybody else have their turn first."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        loop.call_soon(_done, turn)
        await turn

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
        elif self._awaited:
            self._awaited.cancel()
        elif not self.over:
            self._advance(self._course.throw, asyncio.CancelledError())

    async def gone(self) -> None:
        """Wait for the end."""
        if not self.over:
            self._gone = self._gone or asyncio.get_running_loop().create_future()
            await asyncio.shield(self._gone)

    def _advance(self, step: Callable[[Any], Any], argument: object) -> None:
        self._deadline, self._waiting = math.inf, False
        try:
            awaited = step(argument)
        except (StopIteration, asyncio.CancelledError):
            self.over = True
            self._on_over(self)
            if self._gone:
                self._gone.set_result(None)
            return
        if awaited is not None:  # a future: the resolver's, say, or that of mitmproxy's task
            awaited._asyncio_future_blocking = False  # what a task tells a future too
            awaited.add_done_callback(self.go_on)
            self._awaited = awaited

    def _on_events(self, events: int) -> None:
        """Keep what comes while nobody waits for it, too; a client that talks on without being asked is not read."""
        if self._writing:
            if events & (WRITE | BROKEN | HUNG_UP):
                self.go_on()
            return
        self._receive()
        if events & LAST and not self.ended:
            self._receive()
        if self.ended or len(self._said) >= LIMIT:
            self._watched = False
            self.watch.drop(self._fd)
        if self._waiting:
            self.go_on()

    def _receive(self) -> None:
        """Take what came, the end included."""
        try:
            data = self._sock.recv(_AT_ONCE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._said = self._said + data if self._said else data
        self.ended = not data


def _done(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


@coroutine
def _turn() -> Generator[None]:
    """Let others have their turn, until somebody goes on."""
    yield


@lru_cache(maxsize=8192)
def plain_address(text: str) -> IPAddress:
    """Read an address as sockets name it, a zone left out."""
    return plain(ip_address(text.partition("%")[0]))
