"""The TCP side against clients that are slow, greedy or silent."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import dns.message
import dns.rcode
import pytest
from prometheus_client import CollectorRegistry

from sumun.sinkhole.framed import Framed
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.streams import StreamListener
from sumun.sinkhole.tally import Tally
from sumun.telemetry.metrics import Metrics
from tests.support.builders import NOON, three_segments
from tests.support.recording import RecordingEvents
from tests.unit.sinkhole.asking import PAGES, query

pytestmark = pytest.mark.integration

IDLE = 0.3
LARGE = 60_000
type Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class LargeAnswers:
    """An upstream whose every answer has one NULL record of 60,000 octets."""

    async def ask(self, query: bytes) -> bytes:
        record = b"\xc0\x0c\0\x0a\0\1\0\0\0\x3c" + LARGE.to_bytes(2) + bytes(LARGE)
        return query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:] + record


def run(scenario: Callable[[int], Awaitable[None]]) -> None:
    async def main() -> None:
        policy = three_segments()
        handler = Handler(
            responder=Responder(policy=lambda: policy, pages=PAGES),
            upstream=LargeAnswers(),
            tally=Tally(Metrics(CollectorRegistry()), RecordingEvents()),
            clock=lambda: NOON,
        )
        with socket.create_server(("127.0.0.1", 0)) as sock:
            listener = StreamListener(sock, lambda it, _: Framed(it, handler, "tcp"), idle=IDLE)
            await listener.start()
            try:
                async with asyncio.timeout(20):
                    await scenario(sock.getsockname()[1])
            finally:
                listener.stop_reading()
                await handler.drain(1)
                await listener.close(1)

    asyncio.run(main())


@asynccontextmanager
async def connected(port: int, client: str = "127.0.0.1", **more: Any) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(client, 0), **more)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def framed(wire: bytes) -> bytes:
    return len(wire).to_bytes(2) + wire


async def one_answer(reader: asyncio.StreamReader) -> dns.message.Message:
    return dns.message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))


BLOCKED = framed(query("chat.deepseek.com"))
"""Blocked for 127.0.0.3 and 127.0.0.2; answered at length by the upstream for 127.0.0.1."""


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"\0", id="half a length"),
        pytest.param(BLOCKED[:-1], id="incomplete query"),
        pytest.param(b"\xff\xff", id="a query too long"),
    ],
)
def test_a_connection_that_asks_nothing_is_closed(sent: bytes) -> None:
    async def scenario(port: int) -> None:
        async with connected(port) as (reader, writer):
            writer.write(sent)
            assert await reader.read() == b""

    run(scenario)


def test_a_client_that_closes_its_side_gets_its_answers() -> None:
    async def scenario(port: int) -> None:
        async with connected(port) as (reader, writer):
            writer.write(BLOCKED * 3)
            writer.write_eof()
            assert [len((await one_answer(reader)).question) for _ in range(3)] == [1, 1, 1]
            assert await reader.read() == b""

    run(scenario)


def test_junk_between_queries_is_answered_or_passed_over() -> None:
    async def scenario(port: int) -> None:
        async with connected(port) as (reader, writer):
            writer.write(framed(b"") + framed(b"junk") + framed(bytes(12)) + BLOCKED)
            assert (await one_answer(reader)).rcode() == dns.rcode.FORMERR
            assert (await one_answer(reader)).rcode() == dns.rcode.NOERROR

    run(scenario)


def test_a_client_that_does_not_read_is_let_go() -> None:
    async def pester(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(framed(query("www.example.org")) * 100)
            await writer.drain()
            await asyncio.sleep(0.01)

    async def scenario(port: int) -> None:
        async with connected(port, limit=1) as (_, writer):
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # typed as write-only, but is a socket's
            with pytest.raises(ConnectionError):
                await pester(writer)

    run(scenario)


def test_one_client_has_so_many_connections_and_no_more() -> None:
    async def scenario(port: int) -> None:
        async with AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(connected(port)) for _ in range(40)]
            for _, writer in streams:
                writer.write(BLOCKED)
            outcomes = await asyncio.gather(*(one_answer(reader) for reader, _ in streams), return_exceptions=True)
            assert sum(isinstance(outcome, dns.message.Message) for outcome in outcomes) == 30
            other, writer = await stack.enter_async_context(connected(port, "127.0.0.2"))
            writer.write(BLOCKED)
            assert (await one_answer(other)).answer

    run(scenario)


def test_address_of_a_client_is_what_policy_sees() -> None:
    """A client of another segment on the same listener is judged as its own."""

    async def scenario(port: int) -> None:
        sizes = []
        for client in ("127.0.0.1", "127.0.0.3"):
            async with connected(port, client) as (reader, writer):
                writer.write(BLOCKED)
                sizes.append(int.from_bytes(await reader.readexactly(2)))
        assert sizes[0] > LARGE
        assert sizes[1] < 512

    run(scenario)
