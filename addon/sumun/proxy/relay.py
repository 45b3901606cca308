"""Two connections made one: bytes pass both ways as they come, and neither side can fill our memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

IDLE = 3600.0
"""Seconds without a byte in either direction after which a tunnel is closed; what firewalls commonly allow TCP."""


class End(asyncio.Protocol):
    """One end of a tunnel; what it receives goes to its peer.

    INVARIANT: while the peer's write buffer is above its high-water mark, this end is not read.
    """

    transport: asyncio.Transport

    def __init__(self, on_lost: Callable[[], None] | None = None) -> None:
        self.peer: End | None = None
        self.active = True
        """Whether bytes came since the idle clock last looked."""
        self.ended = False
        """Whether this side has said its last word."""
        self.timer: asyncio.TimerHandle | None = None
        self._on_lost = on_lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait, unread, for the peer."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self.active = True
        if self.peer:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        """Pass the half-close on, and keep this side open for what the peer still sends."""
        self.ended = True
        if self.peer:
            if self.peer.ended:
                self.close()
            elif not self.peer.transport.is_closing():
                self.peer.transport.write_eof()
        return True

    def connection_lost(self, _: Exception | None) -> None:
        """Close both: what is buffered for the peer is still sent."""
        self.close()
        if self.timer:
            self.timer.cancel()  # it would keep both ends in memory until it fires
        if self._on_lost:
            self._on_lost()

    def close(self) -> None:
        """Close both sides when their buffers are written."""
        for end in (self, self.peer):
            if end:
                end.transport.close()

    def pause_writing(self) -> None:
        """Stop reading what could not be passed on."""
        if self.peer:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on reading."""
        if self.peer:
            self.peer.transport.resume_reading()


def join(client: End, origin: End, *, idle: float = IDLE) -> None:
    """Let bytes pass between two connected ends from now on."""
    client.peer, origin.peer = origin, client
    for end in (client, origin):
        end.transport.resume_reading()
    _watch(client, origin, idle)


def _watch(client: End, origin: End, idle: float) -> None:
    """Look once an interval, which costs nothing a byte; an idle tunnel is closed after one to two intervals."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if not (client.active or origin.active):
            client.close()
            return
        client.active = origin.active = False
        client.timer = loop.call_later(idle, look)

    client.timer = loop.call_later(idle, look)
