"""Bodies through an inspected connection: packed, streamed, awaited, long, and with trailers."""

from __future__ import annotations

import asyncio
import gzip
import json
import resource
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]  # it has no types
import h2.config
import h2.connection
import h2.events
import pytest
import zstandard

from sumun.policy.engine import Policy
from tests.support.builders import CHATGPT, policy, rule, segment
from tests.support.h2_client import tunnelled
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Filter, filtering

pytestmark = pytest.mark.integration

POLICY = policy(segment("hq", "127.0.0.1/32", rules=[rule("no-model", "block", models=("bad-*",))]), services=[CHATGPT])
HEAD_ONLY = policy(
    segment("hq", "127.0.0.1/32", rules=[rule("own", "allow", services=["chatgpt"], tenant=(("X-Org", "ours"),))]),
    services=[CHATGPT],
)
"""Decrypted for the sake of a header field: no body needs to be read."""
NAMES = {"chatgpt.com": "127.0.0.1"}


def run(
    folder: Path,
    test: Callable[[Filter, Origin], Awaitable[None]],
    alpn: tuple[str, ...] = ("h2",),
    policy: Policy = POLICY,
) -> None:
    async def main() -> None:
        authority = OriginCA(folder)
        origin = Origin(context=authority.context("chatgpt.com", alpn=alpn))
        async with origin.serving(), filtering(folder, policy, NAMES, upstream_ca=authority.path) as filter_:
            async with asyncio.timeout(120):
                await test(filter_, origin)

    asyncio.run(main())


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "gzip, br": lambda body: bytes(brotli.compress(gzip.compress(body))),
}


@pytest.mark.parametrize("encoding", PACK)
def test_a_rule_on_models_reads_a_packed_body(tmp_path: Path, encoding: str) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"https://chatgpt.com:{origin.port}/v1/chat/completions"
        for model, status in (("bad-1", 403), ("good-1", 200)):
            body = PACK[encoding](json.dumps({"model": model, "messages": []}).encode())
            fields = ("-H", "Content-Type: application/json", "-H", f"Content-Encoding: {encoding}")
            answer = await filter_.curl(*fields, "--data-binary", "@-", url, stdin=body)
            assert answer.status == status, model
        (seen,) = origin.requests
        assert seen.body == body, "passed on as it came"

    run(tmp_path, test)


def test_a_bomb_ends_as_the_segment_says(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        bomb = gzip.compress(b'{"model": "good-1", "x": "' + b"a" * 40_000_000 + b'"}')
        fields = ("-H", "Content-Type: application/json", "-H", "Content-Encoding: gzip", "--data-binary", "@-")
        answer = await filter_.curl(*fields, f"https://chatgpt.com:{origin.port}/v1/chat/completions", stdin=bomb)
        assert answer.status == 403
        assert origin.connections == 0

    run(tmp_path, test)


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_body_that_waits_to_be_asked_for(tmp_path: Path, version: str) -> None:
    """100-continue, and curl sends nothing for a second if it is not told to."""

    async def test(filter_: Filter, origin: Origin) -> None:
        fields = ("-H", "Expect: 100-continue", "-H", "Content-Type: application/json", "--data-binary", "@-")
        url = f"https://chatgpt.com:{origin.port}/v1/chat/completions"
        for model, status in (("bad-1", 403), ("good-1", 200)):
            body = json.dumps({"model": model, "messages": []}).encode()
            assert (await filter_.curl(version, *fields, url, stdin=body)).status == status
        assert [seen.body for seen in origin.requests] == [body]

    run(tmp_path, test, alpn=("h2", "http/1.1"))


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@asynccontextmanager
async def discarding(folder: Path) -> AsyncIterator[tuple[int, Path, list[int]]]:
    """An origin that counts what it is sent, sends as much as is asked for, and keeps nothing."""
    authority, counted = OriginCA(folder), [0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next((int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-len")), 0)
            while counted[0] < size and (data := await reader.read(1 << 16)):
                counted[0] += len(data)
            wanted = int(head.split()[1].rpartition(b"/")[2] or 0)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {wanted}\r\nConnection: close\r\n\r\n".encode())
            for _ in range(wanted >> 16):
                writer.write(bytes(1 << 16))
                await writer.drain()
        writer.close()

    context = authority.context("chatgpt.com", alpn=("http/1.1",))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], authority.path, counted


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_memory_does_not_grow_with_uploads_and_downloads(tmp_path: Path, version: str) -> None:
    size = 64 * 1024 * 1024
    (tmp_path / "large").write_bytes(b"")
    with (tmp_path / "large").open("r+b") as file:
        file.truncate(size)

    async def main() -> None:
        async with (
            discarding(tmp_path) as (port, ca, counted),
            filtering(tmp_path, HEAD_ONLY, NAMES, upstream_ca=ca) as filter_,
        ):
            url = f"https://chatgpt.com:{port}"
            process = ("-o", "/dev/null", "-m", "100")
            await filter_.curl(version, *process, f"{url}/1048576")
            before = _resident()
            fields = ("-H", "Expect:", "-H", "Content-Type: text/plain", "--upload-file", str(tmp_path / "large"))
            up = await filter_.curl(version, *fields, *process, f"{url}/0")
            assert (up.status, counted[0]) == (200, size)
            down = await filter_.curl(version, *process, f"{url}/{size}")
            assert down.status == 200
            assert _resident() - before < size // 4

    asyncio.run(main())


def test_memory_does_not_grow_with_the_messages_of_a_websocket(tmp_path: Path) -> None:
    """mitmproxy would keep every one of them."""
    count, size = 4000, 4096
    frame = b"\x82\xfe" + size.to_bytes(2) + bytes(4 + size)
    answer = b"\x82\x7e" + size.to_bytes(2) + bytes(size)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            while await reader.readexactly(len(frame)):
                writer.write(answer)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server, filtering(tmp_path, HEAD_ONLY, NAMES) as filter_:
            host = f"chatgpt.com:{server.sockets[0].getsockname()[1]}"
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
            head = f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            writer.write((head + key).encode())
            await reader.readuntil(b"\r\n\r\n")
            before = 0
            for n in range(count):
                if n == count // 8:
                    before = _resident()
                writer.write(frame)
                await reader.readexactly(len(answer))
            assert _resident() - before < count * size // 2
            writer.close()

    asyncio.run(main())


class GrpcOrigin:
    """Says every message again as it comes, and ends with a status in trailers (gRPC over HTTP/2)."""

    def __init__(self) -> None:
        self.heads: list[dict[bytes, bytes]] = []
        self.trailers: list[dict[bytes, bytes]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=False))
        connection.initiate_connection()
        with suppress(OSError):
            writer.write(connection.data_to_send())
            while data := await reader.read(65536):
                for event in connection.receive_data(data):
                    self._take(connection, event)
                writer.write(connection.data_to_send())
        writer.close()

    def _take(self, connection: h2.connection.H2Connection, event: Any) -> None:
        match event:
            case h2.events.RequestReceived():
                self.heads.append(dict(event.headers))
                connection.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
            case h2.events.DataReceived():
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.data:
                    connection.send_data(event.stream_id, event.data)
            case h2.events.TrailersReceived():
                self.trailers.append(dict(event.headers))
            case h2.events.StreamEnded():
                connection.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)


def test_grpc_both_ways_at_once_with_trailers(tmp_path: Path) -> None:
    """The second message is sent when the first was answered: nothing waits for the end of the body."""
    grpc = GrpcOrigin()

    def talk(filter_: Filter, target: str) -> tuple[list[bytes], dict[bytes, bytes]]:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=False))
        answers: list[bytes] = []
        pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", target), (":path", "/pkg.Service/Call")]
        with tunnelled(filter_.port, target) as sock:
            connection.initiate_connection()
            connection.send_headers(1, [*pseudo, ("content-type", "application/grpc"), ("te", "trailers")])
            connection.send_data(1, b"\0\0\0\0\1a")
            sock.sendall(connection.data_to_send())
            while data := sock.recv(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.DataReceived) and event.data:
                        answers.append(event.data)
                        if len(answers) == 1:
                            connection.send_data(1, b"\0\0\0\0\1b")
                            connection.send_headers(1, [("x-checksum", "1")], end_stream=True)
                    elif isinstance(event, h2.events.TrailersReceived):
                        return answers, dict(event.headers)
                sock.sendall(connection.data_to_send())
        return answers, {}

    async def main() -> None:
        authority = OriginCA(tmp_path)
        server = await asyncio.start_server(grpc.serve, "127.0.0.1", 0, ssl=authority.context("chatgpt.com"))
        async with server, filtering(tmp_path, HEAD_ONLY, NAMES, upstream_ca=authority.path) as filter_:
            target = f"chatgpt.com:{server.sockets[0].getsockname()[1]}"
            async with asyncio.timeout(60):
                answers, trailers = await asyncio.to_thread(talk, filter_, target)
        assert answers == [b"\0\0\0\0\1a", b"\0\0\0\0\1b"]
        assert trailers == {b"grpc-status": b"0"}
        assert grpc.heads[0][b"te"] == b"trailers"
        assert grpc.trailers == [{b"x-checksum": b"1"}]

    asyncio.run(main())


def test_an_upload_over_http2_without_a_length_reaches_an_http1_origin_framed(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        def talk() -> int:
            connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=False))
            target = f"chatgpt.com:{origin.port}"
            pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", target), (":path", "/upload")]
            with tunnelled(filter_.port, target) as sock:
                connection.initiate_connection()
                connection.send_headers(1, [*pseudo, ("content-type", "text/plain")])
                connection.send_data(1, b"GET /hidden HTTP/1.1\r\n\r\n")
                connection.send_headers(1, [("x-trailer", "1")], end_stream=True)
                sock.sendall(connection.data_to_send())
                while data := sock.recv(65536):
                    for event in connection.receive_data(data):
                        if isinstance(event, h2.events.ResponseReceived):
                            return int(dict(event.headers)[b":status"])
            return 0

        assert await asyncio.to_thread(talk) == 200
        (seen,) = origin.requests
        assert (seen.path, seen.body, seen.version) == ("/upload", b"GET /hidden HTTP/1.1\r\n\r\n", "1.1")

    run(tmp_path, test, alpn=("http/1.1",), policy=HEAD_ONLY)
