"""Running as a service: draining, and connections that end when they may no longer run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sumun.config.settings import ProxyLimits
from sumun.policy.engine import Policy
from tests.support.builders import CHATGPT, policy, rule, segment
from tests.support.origins import Origin
from tests.support.proxies import Filter, filtering, hello, loopback_settings

pytestmark = pytest.mark.integration

NAMES = {"open.test": "127.0.0.1", "chatgpt.com": "127.0.0.1"}
OPEN = policy(segment("hq", "127.0.0.1/32"), services=[CHATGPT])
CLOSED = policy(segment("hq", "127.0.0.1/32", rules=[rule("no", "block", services=["chatgpt"])]), services=[CHATGPT])
PATIENCE = 20


@dataclass
class InForce:
    """A policy that can be exchanged."""

    policy: Policy = OPEN

    def __call__(self) -> Policy:
        return self.policy


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()


def run(
    folder: Path, test: Callable[[Filter, InForce, int], Awaitable[None]], limits: ProxyLimits | None = None
) -> None:
    async def main() -> None:
        in_force = InForce()
        settings = replace(loopback_settings(folder), proxy_limits=limits or ProxyLimits())
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server, filtering(folder, in_force, NAMES, settings=settings) as filter_:
            async with asyncio.timeout(60):
                await test(filter_, in_force, server.sockets[0].getsockname()[1])

    asyncio.run(main())


async def tunnel(filter_: Filter, name: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A spliced tunnel to a server that says everything again."""
    reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
    said = hello(name)
    writer.write(f"CONNECT {name}:{port} HTTP/1.1\r\n\r\n".encode() + said)
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(said)) == said
    return reader, writer


def test_a_drain_closes_the_listeners_first_and_waits_for_running_tunnels(tmp_path: Path) -> None:
    async def test(filter_: Filter, _policy: InForce, port: int) -> None:
        reader, writer = await tunnel(filter_, "open.test", port)
        at = filter_.port
        draining = asyncio.create_task(filter_.proxy.drain(asyncio.Event()))
        await asyncio.sleep(0)  # the listeners are closed before it first waits
        while True:
            try:
                _, late = await asyncio.open_connection("127.0.0.1", at)
                late.close()
                await asyncio.sleep(0)
            except ConnectionRefusedError:
                break
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        assert not draining.done()
        writer.close()
        await asyncio.wait_for(draining, PATIENCE)

    run(tmp_path, test)


@pytest.mark.parametrize("how", ["limit", "second signal"])
def test_a_drain_ends_at_its_limit_or_when_told_again(tmp_path: Path, how: str) -> None:
    async def test(filter_: Filter, _: InForce, port: int) -> None:
        reader, writer = await tunnel(filter_, "open.test", port)
        hurry = asyncio.Event()
        draining = asyncio.create_task(filter_.proxy.drain(hurry))
        if how == "second signal":
            hurry.set()
        await asyncio.wait_for(draining, PATIENCE)
        await filter_.proxy.stop()
        assert await reader.read() == b""
        writer.close()

    limit = timedelta(seconds=0.2 if how == "limit" else 3600)
    run(tmp_path, test, replace(ProxyLimits(), drain=limit))


def test_a_drain_does_not_wait_for_connections_that_are_only_kept(tmp_path: Path) -> None:
    async def test(filter_: Filter, *_: Any) -> None:
        origin = Origin()
        async with origin.serving():
            host = f"open.test:{origin.port}"
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
            writer.write(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert (await reader.readuntil(b"speaking")).startswith(b"HTTP/1.1 200 ")
            await asyncio.wait_for(filter_.proxy.drain(asyncio.Event()), PATIENCE)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()

    run(tmp_path, test, replace(ProxyLimits(), drain=timedelta(hours=1)))


async def ends(reader: asyncio.StreamReader) -> None:
    """Wait for the end of a connection, whatever comes before."""
    with suppress(ConnectionError):
        async with asyncio.timeout(PATIENCE):
            while await reader.read(65536):
                pass


def test_a_stream_ends_when_policy_blocks_it(tmp_path: Path) -> None:
    async def test(filter_: Filter, in_force: InForce, _: int) -> None:
        origin = Origin()
        async with origin.serving():
            streams = []
            for name in ("chatgpt.com", "open.test"):
                host = f"{name}:{origin.port}"
                reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
                writer.write(f"GET http://{host}/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                await reader.readuntil(b"data: first")
                streams.append((reader, writer))
            in_force.policy = CLOSED
            await ends(streams[0][0])
            origin.proceed.set()
            await streams[1][0].readuntil(b"data: second")  # nobody's concern, and left alone
            for _, writer in streams:
                writer.close()

    run(tmp_path, test)


def test_a_spliced_tunnel_ends_when_policy_blocks_it(tmp_path: Path) -> None:
    async def test(filter_: Filter, in_force: InForce, port: int) -> None:
        concerned, other = await tunnel(filter_, "chatgpt.com", port), await tunnel(filter_, "open.test", port)
        in_force.policy = CLOSED
        await ends(concerned[0])
        other[1].write(b"still here")
        assert await other[0].readexactly(10) == b"still here"
        concerned[1].close()
        other[1].close()

    run(tmp_path, test)


def test_a_websocket_ends_when_policy_blocks_it(tmp_path: Path) -> None:
    async def websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            while await reader.readexactly(8):
                writer.write(b"\x81\x02hi")
        writer.close()

    async def test(filter_: Filter, in_force: InForce, _port: int) -> None:
        server = await asyncio.start_server(websocket, "127.0.0.1", 0)
        async with server:
            host = f"chatgpt.com:{server.sockets[0].getsockname()[1]}"
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
            head = f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            writer.write((head + key).encode())
            await reader.readuntil(b"\r\n\r\n")
            for _ in range(3):
                writer.write(b"\x81\x82\0\0\0\0hi")
                assert await reader.readexactly(4) == b"\x81\x02hi"
            in_force.policy = CLOSED
            await ends(reader)
            writer.close()

    run(tmp_path, test)


def test_a_finished_request_is_not_watched(tmp_path: Path) -> None:
    async def test(filter_: Filter, in_force: InForce, _: int) -> None:
        origin = Origin()
        async with origin.serving():
            body = json.dumps({"model": "x", "messages": []})
            url = f"http://chatgpt.com:{origin.port}/v1/chat/completions"
            answers = await filter_.curl_each("-H", "Content-Type: application/json", "-d", body, url, url, url)
            assert [answer.status for answer in answers] == [200] * 3
            assert len(filter_.proxy.exchanges) == 0

    run(tmp_path, test)
