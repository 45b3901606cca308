"""A listening stream socket and its connections: how many there may be, and for how long."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from sumun.loading.key_pair import Renewed
from sumun.model.name import IPAddress
from sumun.model.parents import is_parent
from sumun.model.rule import IPNetwork
from sumun.sinkhole.connection import Connection, Session, buffer

_MAX_CONNECTIONS = 300
_MAX_PER_CLIENT = 30
MAX_OPEN = 32
"""Questions of one connection that are being answered; more are read when one of them is done."""
_IDLE = 10.0
"""Seconds a connection may stay silent, a message incomplete, or answers unread ("a few seconds": RFC 7766, 6.2.3)."""
_LOOKS = 4
"""How often within that time all connections are looked at; a timer for each would cost more than most questions."""
_BACKLOG = 256


type Speak = Callable[[Connection, str | None], Session]
"""Begins what is spoken on a connection, where the handshake agreed on this."""


class StreamListener:
    """Serves the connections of one listening socket.

    When no more fit in, the one that would end next makes room: whoever holds connections without asking cannot lock
    others out.
    """

    def __init__(
        self,
        sock: socket.socket,
        speak: Speak,
        *,
        keys: Renewed | None = None,
        trusted: tuple[IPNetwork, ...] = (),
        accused: Callable[[IPAddress], None] = lambda _: None,
        idle: float = _IDLE,
        max_open: int = MAX_OPEN,
    ) -> None:
        """``keys``: TLS; ``trusted``: peers whose PROXY header counts; ``accused`` is told of others who sent one."""
        self._sock, self._speak, self._keys, self._trusted = sock, speak, keys, trusted
        self.accused = accused
        self.idle, self.max_open = idle, max_open
        self._buffer = buffer()
        self._server: asyncio.Server | None = None
        self._look: asyncio.TimerHandle | None = None
        self._per_client: Counter[IPAddress] = Counter()
        self._connections: dict[Connection, IPAddress] = {}
        self._empty = asyncio.Event()

    async def start(self) -> None:
        """Serve from now on."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, self._buffer), sock=self._sock, backlog=_BACKLOG
        )
        self._look = loop.call_later(self.idle / _LOOKS, self._look_round)

    def stop_reading(self) -> None:
        """Take no more connections and no more queries; open connections end with the answers they wait for."""
        if self._server:
            self._server.close()
        for connection in list(self._connections):
            connection.stop_reading()

    async def close(self, seconds: float) -> None:
        """Wait for the connections to end, but no longer than this."""
        try:
            async with asyncio.timeout(seconds):
                while self._connections:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
        if self._look:
            self._look.cancel()

    def context(self) -> ssl.SSLContext | None:
        """What a new connection is secured with."""
        return self._keys.context if self._keys else None

    def session(self, connection: Connection, agreed: str | None) -> Session:
        """What is spoken on it."""
        return self._speak(connection, agreed)

    def believes(self, peer: IPAddress) -> bool:
        """Whether a PROXY header of this peer counts."""
        return bool(self._trusted) and is_parent(peer, self._trusted)

    def admits(self, connection: Connection) -> bool:
        """Whether this client may have another; then it has."""
        client = connection.client
        if self._per_client[client] >= _MAX_PER_CLIENT and not self.believes(client):
            return False
        if len(self._connections) >= _MAX_CONNECTIONS and not self._make_room():
            return False
        self._connections[connection] = client
        self._per_client[client] += 1
        return True

    def gone(self, connection: Connection) -> None:
        """Forget it."""
        client = self._connections.pop(connection, None)
        if client is not None:
            self._per_client[client] -= 1
            if not self._per_client[client]:
                del self._per_client[client]
        if not self._connections:
            self._empty.set()

    def _make_room(self) -> bool:
        waiting = (connection for connection in self._connections if not connection.open)
        oldest = min(waiting, key=lambda connection: connection.deadline, default=None)
        if oldest is None:
            return False
        oldest.abort()
        self.gone(oldest)
        return True

    def _look_round(self) -> None:
        loop = asyncio.get_running_loop()
        self._look = loop.call_later(self.idle / _LOOKS, self._look_round)
        now = loop.time()
        for connection in [connection for connection in self._connections if connection.deadline < now]:
            connection.expire()
        if self._keys:
            self._keys.look()
