"""One client takes all it can get, or is as slow as it can be; another one is served all the while."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sumun.config.settings import ProxyLimits
from tests.support.builders import CHATGPT, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Filter, filtering, hello, loopback_settings, say

pytestmark = pytest.mark.integration

SLOW, OTHER = "127.0.0.1", "127.0.0.2"
POLICY = policy(segment("hq", "127.0.0.0/8", rules=[rule("no-model", "block", models=("bad-*",))]), services=[CHATGPT])
BRIEF = ProxyLimits(connections=40, handshakes=20, opening=timedelta(seconds=1), head=8192)


def run(
    folder: Path, test: Callable[[Filter, Origin], Awaitable[None]], limits: ProxyLimits = BRIEF, *, tls: bool = False
) -> None:
    async def main() -> None:
        ca = OriginCA(folder)
        origin = Origin(context=ca.context("chatgpt.com") if tls else None)
        names = {"open.test": "127.0.0.1", "chatgpt.com": "127.0.0.1"}
        settings = replace(loopback_settings(folder, ca.path), proxy_limits=limits)
        async with origin.serving(), filtering(folder, POLICY, names, settings=settings) as filter_:
            async with asyncio.timeout(90):
                await test(filter_, origin)

    asyncio.run(main())


async def is_served(filter_: Filter, origin: Origin) -> bool:
    return (await filter_.curl(f"http://open.test:{origin.port}/", client=OTHER)).status == 200


SLOWLY = {
    "nothing": b"",
    "a CONNECT that does not end": b"CONNECT open.test:443 HTTP/1.1\r\nX: y\r\n",
    "SOCKS that does not end": b"\x05\x01\x00\x05\x01\x00\x03\xff",
    "a ClientHello that does not end": hello("chatgpt.com")[:100],
    "a request head that does not end": b"GET http://open.test/ HTTP/1.1\r\nHost: open.test\r\nX: ",
    "TLS that is not gone through with": hello("chatgpt.com"),
}


@pytest.mark.parametrize("opening", SLOWLY.values(), ids=SLOWLY)
def test_who_does_not_come_to_the_point_is_left(tmp_path: Path, opening: bytes) -> None:
    """What comes drop by drop does not begin the time anew."""

    async def test(filter_: Filter, origin: Origin) -> None:
        async def slowly() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port, local_addr=(SLOW, 0))
            with suppress(ConnectionError):
                writer.write(opening)
                while not reader.at_eof():
                    if opening and not opening.startswith(b"\x16"):
                        writer.write(b"a")
                    with suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(65536), 0.1)
            writer.close()

        everybody = [asyncio.create_task(slowly()) for _ in range(15)]
        assert await is_served(filter_, origin)
        await asyncio.gather(*everybody)

    run(tmp_path, test)


def test_one_client_gets_no_more_than_its_share(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        with ExitStack() as held:
            for _ in range(60):
                held.enter_context(socket.create_connection(("127.0.0.1", filter_.port), source_address=(SLOW, 0)))
            assert await is_served(filter_, origin)
            limited = filter_.count("proxy_limited_total", limit="handshakes")
            assert limited == 40
        tunnel = f"CONNECT open.test:{origin.port} HTTP/1.1\r\n\r\n".encode()
        assert b" 200 " in await say(filter_.port, tunnel, client=SLOW, finish=True), "and then again"

    run(tmp_path, test, replace(BRIEF, opening=timedelta(minutes=5)))


def test_spliced_connections_count_until_they_end(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        opening = f"CONNECT open.test:{origin.port} HTTP/1.1\r\n\r\n".encode() + hello("open.test")
        held = []
        for _ in range(40):
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port, local_addr=(SLOW, 0))
            writer.write(opening)
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            await reader.read(1)
            held.append(writer)
        assert await say(filter_.port, opening, client=SLOW) == b""
        assert filter_.count("proxy_limited_total", limit="connections") == 1
        assert b" 200 " in (await say(filter_.port, opening, client=OTHER, finish=True))
        for writer in held:
            writer.close()
        for _ in range(200):  # the proxy notices each by itself
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port, local_addr=(SLOW, 0))
            writer.write(opening)
            with suppress(ConnectionError):
                if b" 200 " in await reader.read(65536):
                    break
            writer.close()
            await asyncio.sleep(0.05)
        else:
            pytest.fail("its connections still count")
        writer.close()

    run(tmp_path, test, tls=True)


def test_a_head_above_the_limit_is_told_so(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        host = f"open.test:{origin.port}"
        start = f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n".encode()
        within = await say(filter_.port, start + b"X: " + b"a" * 7000 + b"\r\n\r\n")
        assert within.startswith(b"HTTP/1.1 200 ")
        beyond = await say(filter_.port, start + b"X: " + b"a" * 9000 + b"\r\n\r\n")
        assert beyond.startswith(b"HTTP/1.1 431 ")
        assert len(origin.requests) == 1

    run(tmp_path, test)


def _resident() -> int:
    """Octets that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_memory_is_flat_over_a_thousand_connections(tmp_path: Path) -> None:
    """The one process holds proxy, origin and client; what each of them leaves behind would show."""

    async def test(filter_: Filter, origin: Origin) -> None:
        opening = f"CONNECT open.test:{origin.port} HTTP/1.1\r\n\r\n".encode() + hello("open.test")
        host = f"open.test:{origin.port}"
        plain = f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()

        async def some(count: int) -> None:
            for _ in range(count):
                await say(filter_.port, opening, finish=True)
                await say(filter_.port, plain)

        await some(100)
        before = _resident()
        await some(500)
        assert _resident() - before < 8 * 1024 * 1024
        assert len(filter_.proxy.exchanges) == 0

    run(tmp_path, test, ProxyLimits())
