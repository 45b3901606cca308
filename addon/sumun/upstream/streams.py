"""Questions over connections: TCP, TLS (RFC 7858) and HTTPS (RFC 8484), one at a time on each."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from sumun.config.settings import Transport, Upstream
from sumun.upstream.message import answers_question

_MAX_IDLE = 8
"""Connections kept open to one server between questions."""
_MAX_HEADERS = 16_384
_MAX_MESSAGE = 65_535

type Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
type Exchange = Callable[[asyncio.StreamReader, asyncio.StreamWriter, bytes], Awaitable[bytes]]


@dataclass(slots=True)
class StreamPool:
    """Connections to one server, used again while the server keeps them open (RFC 7766, 6.2.1)."""

    upstream: Upstream
    tls: ssl.SSLContext | None
    mismatched: Callable[[], object] = lambda: None
    """Called for an answer that does not match its question."""
    _idle: list[Stream] = field(default_factory=list)

    async def ask(self, query: bytes) -> bytes:
        """Ask on a connection from the pool, or on a new one if that was closed meanwhile; raises OSError."""
        exchange = self._over_https if self.upstream.transport is Transport.HTTPS else over_stream
        query = self._with_id(query)
        while self._idle:
            with suppress(OSError, EOFError, ValueError):
                return await self._exchange(self._idle.pop(), exchange, query)
        return await self._exchange(await self._connect(), exchange, query)

    async def _exchange(self, stream: Stream, exchange: Exchange, query: bytes) -> bytes:
        async with _closed_on_failure(stream):
            reply = await exchange(*stream, query)
            if not answers_question(reply, query):
                self.mismatched()
                raise OSError("an answer that does not match the question")
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(stream)
        else:
            stream[1].close()
        return reply

    async def _connect(self) -> Stream:
        name = self.upstream.tls_name or self.upstream.host
        return await asyncio.open_connection(
            self.upstream.host,
            self.upstream.port,
            ssl=self.tls,
            server_hostname=name if self.tls else None,
            limit=_MAX_HEADERS,
        )

    def _with_id(self, query: bytes) -> bytes:
        """A random id; zero over HTTPS, where it would only defeat caches (RFC 8484, 4.1)."""
        return (bytes(2) if self.upstream.transport is Transport.HTTPS else secrets.token_bytes(2)) + query[2:]

    async def _over_https(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, query: bytes) -> bytes:
        writer.write(_post(self.upstream, query))
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status, *lines = head.split("\r\n")
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        length = int(fields.get("content-length", "-1"))
        if " 200" not in status or not 0 < length <= _MAX_MESSAGE:
            raise OSError(f"answered `{status[:40]}` in place of a DNS message of known length")
        return await reader.readexactly(length)

    async def close(self) -> None:
        """Close what is idle; connections in use close with their questions."""
        while self._idle:
            writer = self._idle.pop()[1]
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def over_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, query: bytes) -> bytes:
    """One exchange with the two-octet length before each message (RFC 1035, 4.2.2)."""
    writer.write(len(query).to_bytes(2) + query)
    await writer.drain()
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))


@asynccontextmanager
async def _closed_on_failure(stream: Stream) -> AsyncIterator[None]:
    """A connection on which an exchange was broken off would give the next question a late answer."""
    try:
        yield
    except BaseException:
        stream[1].close()
        raise


def _post(upstream: Upstream, query: bytes) -> bytes:
    host = upstream.tls_name or upstream.host
    head = (
        f"POST {upstream.path or '/dns-query'} HTTP/1.1\r\nHost: {host}\r\n"
        "Content-Type: application/dns-message\r\nAccept: application/dns-message\r\n"
        f"Content-Length: {len(query)}\r\n\r\n"
    )
    return head.encode() + query
