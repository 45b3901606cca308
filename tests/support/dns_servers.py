"""Upstream resolvers for tests: honest, lying, silent or slow, on loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from sumun.config.settings import Transport, Upstream

type Behaviour = Callable[[bytes, str], Awaitable[Iterable[bytes]]]
"""Query and transport (``udp`` or ``stream``) to the datagrams or messages that go back, in order."""


def zone(records: Iterable[str]) -> Behaviour:
    """Answer honestly from lines such as ``www.example.test. 60 IN A 192.0.2.1``; CNAMEs are followed.

    Over UDP an answer longer than the client takes is truncated; an unknown name is NXDOMAIN.
    """
    rrsets = [dns.rrset.from_text(*line.split(maxsplit=4)[:4], line.split(maxsplit=4)[4]) for line in records]

    async def answer(wire: bytes, transport: str) -> Iterable[bytes]:
        query = dns.message.from_wire(wire)
        reply = dns.message.make_response(query, recursion_available=True, our_payload=1232)
        name, question = query.question[0].name, query.question[0]
        known = False
        for _ in range(10):
            here = [r for r in rrsets if r.name == name]
            known |= bool(here)
            reply.answer += [r for r in here if r.rdtype in (question.rdtype, dns.rdatatype.CNAME)]
            alias = next((r for r in here if r.rdtype == dns.rdatatype.CNAME), None)
            if alias is None or question.rdtype == dns.rdatatype.CNAME:
                break
            name = alias[0].target
        if not known:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        size = (query.payload if query.edns >= 0 else 512) if transport == "udp" else 65535
        try:
            return [reply.to_wire(max_size=size)]
        except dns.exception.TooBig:
            cut = dns.message.make_response(query, recursion_available=True)
            cut.flags |= dns.flags.TC
            return [cut.to_wire()]

    return answer


async def silent(wire: bytes, transport: str) -> Iterable[bytes]:
    return []


@dataclass
class FakeResolver(asyncio.DatagramProtocol):
    """Serves a behaviour over UDP and TCP on one port of 127.0.0.1, and remembers what it was asked."""

    behaviour: Behaviour
    asked: list[tuple[bytes, str, Any]] = field(default_factory=list)
    """Query, transport and peer."""
    connections: int = 0
    port: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def upstream(self, text: str = "fake") -> Upstream:
        return Upstream(text, Transport.UDP, "127.0.0.1", self.port)

    def hang_up(self) -> None:
        """Close every stream."""
        while self._writers:
            self._writers.pop().close()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._datagram(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _datagram(self, data: bytes, addr: Any) -> None:
        self.asked.append((data, "udp", addr))
        for reply in await self.behaviour(data, "udp"):
            assert self._transport
            self._transport.sendto(reply, addr)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with suppress(EOFError, OSError):
            while True:
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                self.asked.append((query, "stream", writer.get_extra_info("peername")))
                for reply in await self.behaviour(query, "stream"):
                    writer.write(len(reply).to_bytes(2) + reply)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(behaviour: Behaviour, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeResolver]:
    """A resolver on a free port; with ``tls`` its streams are DNS over TLS."""
    fake = FakeResolver(behaviour)
    server, transport = await _bound(fake, tls)
    try:
        yield fake
    finally:
        transport.close()
        for task in fake._tasks:
            task.cancel()
        server.close()
        fake.hang_up()
        await asyncio.sleep(0)


async def _bound(fake: FakeResolver, tls: ssl.SSLContext | None) -> tuple[asyncio.Server, asyncio.BaseTransport]:
    """A stream server and a datagram end point on one port; what is free for one may be taken for the other."""
    loop = asyncio.get_running_loop()
    while True:
        server = await asyncio.start_server(fake._stream, "127.0.0.1", 0, ssl=tls)
        fake.port = server.sockets[0].getsockname()[1]
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: fake, local_addr=("127.0.0.1", fake.port))
        except OSError:
            server.close()
        else:
            return server, transport
