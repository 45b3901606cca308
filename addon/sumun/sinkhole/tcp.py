"""The TCP side (RFC 7766): many questions on a connection, answered as they are ready."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from sumun.model.name import IPAddress
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.udp import client_address

_MAX_CONNECTIONS = 300
_MAX_PER_CLIENT = 30
_MAX_UNANSWERED = 32
"""Questions of one connection that are being answered; more are read when one of them is done."""
_IDLE = 10.0
"""Seconds a connection may stay silent, a message incomplete, or answers unread ("a few seconds": RFC 7766, 6.2.3)."""
_BUFFER = 4096
_MAX_QUERY = 4096
"""Octets; a longer query closes the connection."""


class TcpListener:
    """Serves the connections of one listening socket."""

    def __init__(self, sock: socket.socket, handler: Handler, *, idle: float = _IDLE) -> None:
        self._sock = sock
        self._handler = handler
        self._idle = idle
        self._server: asyncio.Server | None = None
        self._per_client: Counter[IPAddress] = Counter()
        self._open: dict[_Connection, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Serve from now on."""
        self._server = await asyncio.start_server(self._serve, sock=self._sock, limit=_BUFFER)

    def stop_reading(self) -> None:
        """Take no more connections and no more queries; open connections end with the answers they wait for."""
        if self._server:
            self._server.close()
        for connection in self._open:
            connection.stop_reading()

    async def close(self, seconds: float) -> None:
        """Wait for the connections to end, but no longer than this."""
        if self._open:
            await asyncio.wait(self._open.values(), timeout=seconds)
        for task in self._open.values():
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = client_address(writer.get_extra_info("peername")[0])
        if len(self._open) >= _MAX_CONNECTIONS or self._per_client[client] >= _MAX_PER_CLIENT:
            writer.transport.abort()
            return
        connection, task = _Connection(reader, writer, client, self._handler, self._idle), asyncio.current_task()
        assert task  # noqa: S101 - a coroutine that runs is in a task
        self._open[connection] = task
        self._per_client[client] += 1
        try:
            await connection.run()
        finally:
            del self._open[connection]
            self._per_client -= Counter({client: 1})


@dataclass(slots=True, eq=False)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    client: IPAddress
    handler: Handler
    idle: float
    _unanswered: int = 0
    _answered: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Read until the client ends, falls silent or overdoes it, then answer what is still open."""
        self.writer.transport.set_write_buffer_limits(high=0)  # "drained" means that the kernel has it all
        self._reading = asyncio.create_task(self._read())
        try:
            await asyncio.wait({self._reading})
            while self._unanswered:
                await self._one_answered()
            await self._drained()
            self.writer.close()
        except OSError:
            pass  # the client is gone, or does not read
        finally:
            self._reading.cancel()
            if not self.writer.is_closing():
                self.writer.transport.abort()

    def stop_reading(self) -> None:
        """Treat the client as done."""
        if self._reading:
            self._reading.cancel()

    async def _read(self) -> None:
        with suppress(OSError, EOFError):
            while await self._take_one():
                await self._drained()
                while self._unanswered >= _MAX_UNANSWERED:
                    await self._one_answered()

    async def _take_one(self) -> bool:
        async with asyncio.timeout(self.idle):
            length = int.from_bytes(await self.reader.readexactly(2))
            if length > _MAX_QUERY:
                return False
            wire = await self.reader.readexactly(length)
        self._unanswered += 1
        self.handler.handle(wire, self.client, "tcp", self._reply)
        return True

    async def _drained(self) -> None:
        async with asyncio.timeout(self.idle):
            await self.writer.drain()

    async def _one_answered(self) -> None:
        self._answered.clear()
        await self._answered.wait()

    def _reply(self, reply: bytes | None) -> bool:
        self._unanswered -= 1
        self._answered.set()
        if reply is None or self.writer.is_closing():
            return False
        self.writer.write(len(reply).to_bytes(2) + reply)
        return True
