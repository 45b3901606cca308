"""Inspected traffic and origins that are hard to reach: several addresses, connections that were closed meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.builders import CHATGPT, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import filtering

pytestmark = pytest.mark.integration

POLICY = policy(segment("hq", "127.0.0.1/32", rules=[rule("no-model", "block", models=("bad-*",))]), services=[CHATGPT])


@pytest.mark.parametrize("addresses", [("127.0.0.9", "127.0.0.1"), ("::1", "127.0.0.9", "127.0.0.1")])
def test_the_next_address_is_tried_where_the_first_is_dead(tmp_path: Path, addresses: tuple[str, ...]) -> None:
    async def main() -> None:
        authority = OriginCA(tmp_path)
        origin = Origin(context=authority.context("chatgpt.com"))
        names: dict[str, str | tuple[str, ...]] = {"chatgpt.com": addresses}
        async with origin.serving(), filtering(tmp_path, POLICY, names, upstream_ca=authority.path) as filter_:
            url = f"https://chatgpt.com:{origin.port}/"
            answers = await filter_.curl_each("--http1.1", url, url)
            assert [answer.status for answer in answers] == [200, 200], answers[0].text
            assert len(origin.requests) == 2

    asyncio.run(main())


def test_no_address_answers(tmp_path: Path) -> None:
    async def main() -> None:
        names: dict[str, str | tuple[str, ...]] = {"chatgpt.com": ("127.0.0.9", "127.0.0.8")}
        async with filtering(tmp_path, POLICY, names) as filter_:
            assert (await filter_.curl("http://chatgpt.com:9/")).status == 502

    asyncio.run(main())


@pytest.mark.parametrize(("method", "status", "times"), [("GET", 200, 2), ("POST", 502, 1)])
def test_a_request_that_meets_a_closing_connection(tmp_path: Path, method: str, status: int, times: int) -> None:
    """Only what may be made twice is made again."""
    heard: list[bytes] = []

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the first request on a connection and, of all connections, close the first one at its second."""
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                heard.append(await reader.readuntil(b"\r\n\r\n"))
                if len(heard) == 2:
                    break
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(closing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, filtering(tmp_path, POLICY, {"chatgpt.com": "127.0.0.1"}) as filter_:
            host = f"chatgpt.com:{port}"
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
            async with asyncio.timeout(20):
                writer.write(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 ")
                fields = f"Host: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                writer.write(f"{method} http://{host}/second HTTP/1.1\r\n{fields}".encode())
                assert (await reader.read()).startswith(f"HTTP/1.1 {status} ".encode())
            writer.close()
        assert len([head for head in heard if b"/second" in head]) == times

    asyncio.run(main())
