"""A list server on loopback that can be told to misbehave."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv4Address

type Reply = Callable[[dict[str, str], asyncio.StreamWriter], Awaitable[None]]
"""Header fields of a request, and where the answer goes."""

HTML = "<!DOCTYPE html><title>Sign in</title>"


def names(count: int, *, start: int = 0) -> str:
    return "".join(f"n{n}.example\n" for n in range(start, start + count))


def head(status: str, **fields: object) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}Connection: close\r\n\r\n".encode()


def serving(content: str | bytes, **fields: object) -> Reply:
    """An honest server: validators, conditional requests, gzip if asked for."""
    octets = content.encode() if isinstance(content, str) else content
    etag = f'"{sha256(octets).hexdigest()[:16]}"'

    async def reply(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if asked.get("if-none-match") == etag:
            writer.write(head("304 Not Modified", ETag=etag))
            return
        body, extra = octets, dict(fields)
        if "gzip" in asked.get("accept-encoding", "") and "Content_Encoding" not in fields:
            body, extra = gzip.compress(octets), {**extra, "Content_Encoding": "gzip"}
        writer.write(head("200 OK", ETag=etag, Content_Length=len(body), **extra) + body)

    return reply


def status(line: str, **fields: object) -> Reply:
    async def reply(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(head(line, Content_Length=0, **fields))

    return reply


def announcing(octets: int) -> Reply:
    async def reply(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", Content_Length=octets))

    return reply


def truncated(content: str) -> Reply:
    async def reply(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", Content_Length=len(content) + 100) + content.encode())

    return reply


def never_ending(piece: bytes, *, at_once: int = 1, wait: float = 0.01) -> Reply:
    """Chunk after chunk until the client has had enough."""

    async def reply(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(head("200 OK", Transfer_Encoding="chunked"))
        while True:
            writer.write((b"%x\r\n%s\r\n" % (len(piece), piece)) * at_once)
            await writer.drain()
            await asyncio.sleep(wait)

    return reply


async def no_http(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n")


@dataclass
class ListServer:
    """What it answers by path, and what it was asked."""

    port: int = 0
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    scheme: str = "http"
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/list.txt"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.tasks.add(task)
        try:
            await self._answer(reader, writer)
        finally:
            writer.transport.abort() if task.cancelling() else writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            self.tasks.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            fields = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
            path = first.split()[1]
            self.asked.append((path, fields))
            await self.replies.get(path, status("404 Not Found"))(fields, writer)
            await writer.drain()


@asynccontextmanager
async def list_server(reply: Reply | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[ListServer]:
    served = ListServer(scheme="https" if tls else "http")
    if reply:
        served.replies["/list.txt"] = reply
    server = await asyncio.start_server(served.handle, "127.0.0.1", 0, ssl=tls)
    served.port = server.sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        server.close()
        for task in list(served.tasks):
            task.cancel()
        await asyncio.gather(*served.tasks, return_exceptions=True)


@asynccontextmanager
async def connect_proxy(*, allowed: bool = True) -> AsyncIterator[tuple[int, list[str]]]:
    """An HTTP proxy that takes every CONNECT to loopback, whatever its name: port, and the heads it got."""
    heads: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(asked)
        if not allowed:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        port = int(asked.split()[1].rpartition(":")[2])
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await handle(reader, writer)
        finally:
            tasks.discard(task)

    tasks: set[asyncio.Task[None]] = set()
    server = await asyncio.start_server(tracked, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heads
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)


async def loopback(name: object) -> list[IPv4Address]:
    """Resolves every name to this host."""
    return [IPv4Address("127.0.0.1")]
