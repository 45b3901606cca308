"""Generated corpora against a running proxy: what an origin receives was judged as that host, or nothing is sent.

The origin keeps the octets, and several lenient readers must all make the same of them.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sumun.model.name import InvalidName
from sumun.proxy.opening import authority, client_hello
from sumun.proxy.translate import host
from tests.support.builders import DEEPSEEK, policy, rule, segment, service
from tests.support.evasions import READERS, authorities, hellos, meanings, read_by_openssl, smuggling
from tests.support.origins import OriginCA
from tests.support.proxies import Filter, filtering, hello

pytestmark = pytest.mark.integration

OPEN, INSPECTED, BLOCKED = "open.test", "router.test", "chat.deepseek.com"
NAMES = dict.fromkeys((OPEN, INSPECTED, BLOCKED), "127.0.0.1")
PATIENCE = 3.0
"""Seconds for an answer, before the client says that it is done; a slower machine tests less, and never wrongly."""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Recording:
    """An origin that answers whatever ends a head, and keeps each connection's octets."""

    context: ssl.SSLContext | None = None
    port: int = 0
    heard: list[bytearray] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Recording]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.context)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = bytearray()
        self.heard.append(heard)
        with suppress(OSError):
            while data := await reader.read(65536):
                heard += data
                writer.write(ANSWER * data.count(b" HTTP/1."))
        writer.close()


async def attempt(port: int, data: bytes) -> bytes:
    """Say it, wait a little for an answer, say that this was all, and return what came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b""
    try:
        writer.write(data)
        with suppress(TimeoutError):
            said = await asyncio.wait_for(reader.read(65536), PATIENCE)
        writer.write_eof()
        async with asyncio.timeout(20):
            said += await reader.read()
    except OSError:
        pass
    finally:
        writer.close()
    return said


def attempt_inside(port: int, data: bytes, host: str, trusting: ssl.SSLContext) -> bytes:
    """The same through a tunnel, inside TLS."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(f"CONNECT {host} HTTP/1.1\r\n\r\n".encode())
        assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        with trusting.wrap_socket(sock, server_hostname=host.partition(":")[0]) as inside, suppress(OSError):
            inside.sendall(data)
            inside.settimeout(PATIENCE)
            said = inside.recv(65536)
    return said


async def each[T](items: Sequence[T], do: Callable[[T], Awaitable[object]]) -> None:
    """Some at a time."""
    at_a_time = asyncio.Semaphore(32)

    async def one(item: T) -> None:
        async with at_a_time:
            await do(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(one(item))


def run(folder: Path, test: Callable[[Filter, Recording, ssl.SSLContext], Awaitable[None]], *, tls: bool) -> None:
    rules = [rule("no-deepseek", "block", services=["deepseek"]), rule("no-model", "block", models=("bad-*",))]
    one = policy(segment("hq", "127.0.0.1/32", rules=rules), services=[DEEPSEEK, service("router", INSPECTED)])

    async def main() -> None:
        ca = OriginCA(folder)
        origin = Recording(ca.context(*NAMES, alpn=("http/1.1",)) if tls else None)
        async with origin.serving(), filtering(folder, one, NAMES, upstream_ca=ca.path) as filter_:
            await test(filter_, origin, ssl.create_default_context(cafile=filter_.ca))

    asyncio.run(main())


def only_requests_for(host: str, origin: Recording) -> int:
    """What every reader makes of what the origin heard is the same, and for this host; how many requests that was."""
    count = 0
    for heard in map(bytes, origin.heard):
        (first, *others) = [reader.requests(heard) for reader in READERS]
        assert all(other == first for other in others), heard
        assert all(found == host.encode() and b"hidden" not in target for _, target, found in first), heard
        count += len(first)
    return count


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "inspected"])
def test_no_request_is_smuggled(tmp_path: Path, tls: bool) -> None:
    async def test(filter_: Filter, origin: Recording, trusting: ssl.SSLContext) -> None:
        name = INSPECTED if tls else OPEN
        host = f"{name}:{origin.port}"
        target = b"/x" if tls else f"http://{host}/x".encode()
        corpus = list(dict.fromkeys(smuggling(target, host.encode())))
        assert len(corpus) > 400
        said: list[bytes] = []

        async def one(data: bytes) -> None:
            if tls:
                said.append(await asyncio.to_thread(attempt_inside, filter_.port, data, host, trusting))
            else:
                said.append(await attempt(filter_.port, data))

        await each(corpus, one)
        assert only_requests_for(host, origin) >= 15, "honest ones pass"
        refused = sum(answer.startswith(b"HTTP/1.1 400 ") for answer in said)
        assert refused > 300
        assert not any(b"mitmproxy" in answer.lower() for answer in said)
        assert BLOCKED not in filter_.resolver.asked
        assert filter_.count("bypass_attempts_total", segment="hq", technique="smuggling") > 200

    run(tmp_path, test, tls=tls)


def places(text: str, port: int) -> list[bytes]:
    """A request with this text wherever a request names a host."""
    raw = text.encode("utf-8", "surrogatepass")
    own = f"{OPEN}:{port}".encode()
    return [
        b"GET http://%b:%d/ HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % (raw, port, raw, port),
        b"GET http://%b/ HTTP/1.1\r\nHost: %b\r\n\r\n" % (raw, own),
        b"GET http://%b/ HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % (own, raw, port),
        b"GET / HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % (raw, port),
        b"GET / HTTP/1.0\r\nHost: %b\r\nHost: %b\r\n\r\n" % (own, raw),
        b"CONNECT %b:%d HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: %b\r\n\r\n" % (raw, port, own),
        b"CONNECT %b HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: %b:%d\r\n\r\n" % (own, raw, port),
        b"CONNECT %b:%d HTTP/1.1\r\n\r\n" % (raw, port) + hello(OPEN),
    ]


def test_no_spelling_of_an_authority_leads_elsewhere(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Recording, _: ssl.SSLContext) -> None:
        texts = authorities(OPEN, BLOCKED)
        assert len(texts) > 250
        corpus = [request for text in texts for request in places(text, origin.port)]
        await each(corpus, lambda data: attempt(filter_.port, data))
        assert BLOCKED not in filter_.resolver.asked
        requests = 0
        for heard in map(bytes, origin.heard):
            if heard.startswith(b"\x16"):
                assert read_by_openssl(heard) == OPEN
                continue
            for reader in READERS:
                for _method, target, found in reader.requests(heard):
                    requests += 1
                    assert target == b"/", heard
                    assert not any(each.endswith("deepseek.com") for each in meanings(found.decode())), heard
                    assert str(authority(found.decode())[0]) in filter_.resolver.asked, heard
        assert requests > 100, "honest ones pass"

    run(tmp_path, test, tls=False)


def test_socks_names_are_read_like_any_other(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Recording, _: ssl.SSLContext) -> None:
        texts = [text.encode("utf-8", "surrogatepass") for text in authorities(OPEN, BLOCKED)]
        end = origin.port.to_bytes(2) + hello(OPEN)
        start = b"\x05\x01\x00\x05\x01\x00\x03"
        corpus = [start + bytes([len(text)]) + text + end for text in texts if len(text) < 256]
        await each(corpus, lambda data: attempt(filter_.port, data))
        assert len(corpus) > 250
        assert BLOCKED not in filter_.resolver.asked
        assert len(origin.heard) > 5
        assert {read_by_openssl(bytes(heard)) for heard in origin.heard} == {OPEN}

    run(tmp_path, test, tls=False)


def test_no_clienthello_names_two_hosts(tmp_path: Path) -> None:
    """What OpenSSL reads in what the origin received is what the proxy had resolved, and judged."""

    async def test(filter_: Filter, origin: Recording, _: ssl.SSLContext) -> None:
        corpus = list(dict.fromkeys(hellos(OPEN, BLOCKED)))
        assert len(corpus) > 140
        for target in (OPEN, "127.0.0.1"):
            tunnel = f"CONNECT {target}:{origin.port} HTTP/1.1\r\n\r\n".encode()
            await each([tunnel + data for data in corpus], lambda data: attempt(filter_.port, data))
        assert len(origin.heard) > 20, "honest ones pass"
        for heard in map(bytes, origin.heard):
            name, ours = read_by_openssl(heard), client_hello(heard)
            if name is None:  # to an internal address, which needs none
                assert ours, heard
                assert ours.server_name is None, base64.b64encode(heard)
            else:
                assert name == "" or str(host(name)) in (OPEN, "127.0.0.1"), name
        assert BLOCKED not in filter_.resolver.asked

    run(tmp_path, test, tls=False)


def test_the_readers_are_fooled_where_there_is_no_filter() -> None:
    """Control: the corpora hold what they claim to."""
    host = f"{OPEN}:80"
    seen = [{tuple(reader.requests(data)) for reader in READERS} for data in smuggling(b"/x", host.encode())]
    assert sum(len(ways) > 1 for ways in seen) > 200
    assert sum(BLOCKED in meanings(text) for text in authorities(OPEN, BLOCKED)) > 60
    names = {read_by_openssl(data) for data in hellos(OPEN, BLOCKED, ascii_only=True)}
    assert {OPEN, BLOCKED, None, ""} <= names
    with pytest.raises(InvalidName):
        authority(f"{OPEN}@{BLOCKED}")
