"""Questions over HTTPS: to our own listener, to Unbound, and to servers that close, lie or are known by name."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import dns.message
import h2.config
import h2.connection
import h2.events
import pytest
from prometheus_client import CollectorRegistry

from sumun.config.settings import KeyPair, Transport, Upstream
from sumun.telemetry.metrics import Metrics
from sumun.upstream.errors import UpstreamError
from sumun.upstream.resolver import Upstreams
from tests.integration.test_sinkhole_encrypted import client_context, running, settings
from tests.support.certificates import self_signed
from tests.support.dns_servers import serving, zone
from tests.support.running import free_ports
from tests.unit.sinkhole.asking import query

pytestmark = pytest.mark.integration
ZONE = zone(["dns.example. 300 IN A 127.0.0.1", "www.example.test. 300 IN A 192.0.2.80"])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return self_signed(tmp_path_factory.mktemp("keys"))


def upstream(port: int, host: str = "127.0.0.1") -> Upstream:
    return Upstream("https://dns.example/dns-query", Transport.HTTPS, host, port, "dns.example", "/dns-query")


@asynccontextmanager
async def asking(keys: KeyPair, *upstreams: Upstream) -> AsyncIterator[Upstreams]:
    metrics = Metrics(CollectorRegistry())
    it = Upstreams(upstreams, metrics=metrics, timeout=30.0, tls=client_context(keys))
    try:
        yield it
    finally:
        await it.close()


def test_many_questions_share_one_connection(keys: KeyPair) -> None:
    async def main() -> None:
        async with running(settings(keys)) as it, asking(keys, upstream(it.sinkhole.https_port)) as ours:
            asked = [query(f"host-{n}.example.test", id=n) for n in range(1, 251)]
            for n, reply in enumerate(await asyncio.gather(*map(ours.ask, asked)), start=1):
                message = dns.message.from_wire(reply)
                assert (message.id, message.question[0].name.to_text()) == (n, f"host-{n}.example.test.")
            assert it.total("sumun_dns_queries_total", protocol="doh") == 250
            assert len(it.sinkhole._streams[-1]._connections) == 1

    asyncio.run(main())


@pytest.mark.skipif(shutil.which("unbound") is None, reason="needs unbound")
def test_unbound_is_understood(keys: KeyPair, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "conf").write_text(f"""
server:
  interface: 127.0.0.1@{port}
  https-port: {port}
  tls-service-key: "{keys.key}"
  tls-service-pem: "{keys.certificate}"
  do-daemonize: no
  use-syslog: no
  logfile: ""
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{tmp_path}"
  local-zone: "example.test." static
  local-data: "www.example.test. 300 IN A 192.0.2.80"
remote-control:
  control-enable: no
""")

    async def main() -> None:
        command = ("unbound", "-d", "-c", str(tmp_path / "conf"))
        server = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
        try:
            assert server.stderr
            while b"start of service" not in await server.stderr.readline():
                pass
            async with asking(keys, upstream(port)) as ours:
                replies = await asyncio.gather(*(ours.ask(query("www.example.test")) for _ in range(40)))
            assert {str(dns.message.from_wire(reply).answer[0][0]) for reply in replies} == {"192.0.2.80"}
        finally:
            server.terminate()
            await server.wait()

    asyncio.run(main())


def test_a_server_known_by_name_is_found_through_the_others(keys: KeyPair) -> None:
    async def main() -> None:
        async with running(settings(keys)) as it, serving(ZONE) as finder:
            named = upstream(it.sinkhole.https_port, host="dns.example")
            async with asking(keys, named, finder.upstream()) as ours:
                for _ in range(3):
                    await ours.ask(query("www.example.test"))
            assert {dns.message.from_wire(wire).question[0].name.to_text() for wire, _, _ in finder.asked} == {
                "dns.example."
            }
            assert it.total("sumun_dns_queries_total", protocol="doh") == 3

    asyncio.run(main())


def test_a_name_that_nobody_knows_is_said(keys: KeyPair) -> None:
    async def main() -> None:
        nothing = zone([])
        async with serving(nothing) as finder:
            named = upstream(443, host="nowhere.example")
            async with asking(keys, named) as ours:
                ours._finders = Upstreams((finder.upstream(),), metrics=Metrics(CollectorRegistry()))
                with pytest.raises(UpstreamError, match=r"`nowhere\.example` has no address"):
                    await ours.ask(query("www.example.test"))

    asyncio.run(main())


type Answering = Callable[[h2.connection.H2Connection, int, bytes], None]


@asynccontextmanager
async def web_server(
    keys: KeyPair, answer: Answering, *, per_connection: int = 1000
) -> AsyncIterator[tuple[int, list[int]]]:
    """An HTTP/2 server that answers as told, and closes after so many requests; which connection brought each."""
    brought: list[int] = []
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number, bodies, left = connections, dict[int, bytes](), per_connection
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http.initiate_connection()
        while left and (data := await reader.read(65_536)):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                if isinstance(event, h2.events.StreamEnded):
                    brought.append(number)
                    left -= 1
                    answer(http, event.stream_id, bodies[event.stream_id])
            writer.write(http.data_to_send())
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.certificate, keys.key)
    context.set_alpn_protocols(["h2"])
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], brought
    finally:
        server.close()


def honest(http: h2.connection.H2Connection, stream: int, wire: bytes) -> None:
    http.send_headers(stream, [(":status", "200"), ("content-type", "application/dns-message")])
    http.send_data(stream, dns.message.make_response(dns.message.from_wire(wire)).to_wire(), end_stream=True)


def lying(http: h2.connection.H2Connection, stream: int, wire: bytes) -> None:
    honest(http, stream, query("other.example.test", id=0))


def missing(http: h2.connection.H2Connection, stream: int, wire: bytes) -> None:
    http.send_headers(stream, [(":status", "404"), ("content-type", "text/html")], end_stream=True)


def resetting(http: h2.connection.H2Connection, stream: int, wire: bytes) -> None:
    http.reset_stream(stream, 7)


def test_a_connection_that_the_server_closed_is_opened_again(keys: KeyPair) -> None:
    async def main() -> None:
        async with web_server(keys, honest, per_connection=2) as (port, brought), asking(keys, upstream(port)) as ours:
            for _ in range(6):
                await ours.ask(query("www.example.test"))
        assert brought == [1, 1, 2, 2, 3, 3]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lying, "does not match the question"),
        (missing, "answered `404 text/html` in place of a DNS message"),
        (resetting, "reset the stream"),
    ],
)
def test_what_is_no_answer_is_said(keys: KeyPair, answer: Answering, why: str) -> None:
    async def main() -> None:
        async with web_server(keys, answer) as (port, brought), asking(keys, upstream(port)) as ours:
            with pytest.raises(UpstreamError, match=why):
                await ours.ask(query("www.example.test"))
            assert set(brought) == {1}  # the connection is none the worse for it

    asyncio.run(main())


def test_who_gives_up_waiting_leaves_the_connection_to_others(keys: KeyPair) -> None:
    async def main() -> None:
        kept: list[int] = []

        def sometimes(http: h2.connection.H2Connection, stream: int, wire: bytes) -> None:
            if b"slow" in wire:
                kept.append(stream)
            else:
                honest(http, stream, wire)

        async with web_server(keys, sometimes) as (port, brought), asking(keys, upstream(port)) as ours:
            await ours.ask(query("www.example.test"))
            slow = asyncio.create_task(ours.ask(query("slow.example.test")))
            while not kept:  # noqa: ASYNC110 - the server sets no event
                await asyncio.sleep(0.01)
            slow.cancel()
            await asyncio.gather(slow, return_exceptions=True)
            await ours.ask(query("www.example.test"))
            assert set(brought) == {1}

    asyncio.run(main())
