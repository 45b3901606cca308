"""A client while the gate still listens to it: what it has said is kept, and bounded, until somebody takes over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from ipaddress import ip_address
from typing import Any, cast

from sumun.model.name import IPAddress, plain
from sumun.proxy.opening import LIMIT, Unreadable

type Attend = Callable[[Caller], Coroutine[Any, Any, None]]


class Caller(asyncio.Protocol):
    """One accepted connection; ``attend`` runs as its task."""

    transport: asyncio.Transport
    client: IPAddress
    here: IPAddress
    """The address of ours at which it arrived."""

    task: asyncio.Task[None]
    """Attends to it, until it is spliced or closed."""

    def __init__(self, attend: Attend, callers: set[Caller]) -> None:
        self._attend = attend
        self._callers = callers
        self._said = bytearray()
        self._news = asyncio.Event()
        self.ended = False
        """Whether the client has said its last word."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to attend."""
        self.transport = cast("asyncio.Transport", transport)
        if not transport.get_extra_info("peername"):
            self.transport.abort()  # it was reset before we could look who it is
            return
        self.client = _address(transport, "peername")
        self.here = _address(transport, "sockname")
        self._callers.add(self)  # before the task, which may run, and end, at once
        self.task = asyncio.get_running_loop().create_task(self._attend(self))
        if self.task.done():
            self._callers.discard(self)
        else:
            self.task.add_done_callback(lambda _: self._callers.discard(self))

    def data_received(self, data: bytes) -> None:
        """Keep it; a client that talks on without being understood is not read."""
        self._said += data
        if len(self._said) >= LIMIT:
            self.transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        """Keep the connection open for our answer."""
        self.ended = True
        self._news.set()
        return True

    def connection_lost(self, _: Exception | None) -> None:
        """Wake the task, which finds nothing more to come."""
        self.ended = True
        self._news.set()

    async def read[T](self, parse: Callable[[bytes], T | None], *, within: float) -> T:
        """Wait until ``parse`` makes something of what was said; raises Unreadable, or TimeoutError after seconds."""
        if (ready := parse(bytes(self._said))) is not None:
            return ready  # most clients say all at once, and a timer costs more than this look
        async with asyncio.timeout(within):
            while (result := parse(bytes(self._said))) is None:
                if self.ended or len(self._said) >= LIMIT:
                    raise Unreadable("the client stopped short" if self.ended else "the client never came to the point")
                self._news.clear()
                await self._news.wait()
        return result

    @property
    def silent(self) -> bool:
        """Whether the client came and went without a word, as probes of availability do."""
        return self.ended and not self._said

    def forget(self, count: int) -> None:
        """Drop what has been dealt with."""
        del self._said[:count]

    def take(self, successor: asyncio.BaseProtocol) -> bytes:
        """Give the connection, unread from here on, to another protocol; returns what was said so far."""
        if not self.transport.is_closing():
            self.transport.pause_reading()
        self.transport.set_protocol(successor)
        return bytes(self._said)

    def close(self, last_word: bytes = b"") -> None:
        """Close cleanly, after a last word."""
        if last_word and not self.transport.is_closing():
            self.transport.write(last_word)
        self.transport.close()


class Busy(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let go at once."""
        cast("asyncio.Transport", transport).abort()


def _address(transport: asyncio.BaseTransport, key: str) -> IPAddress:
    name = transport.get_extra_info(key)
    return plain(ip_address(str(name[0]).partition("%")[0]))
