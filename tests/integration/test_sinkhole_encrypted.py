"""DNS over TLS and over HTTPS on loopback, asked by real clients and by some that mean harm."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import dns.rcode
import h2.config
import h2.connection
import h2.events
import pytest
from prometheus_client import CollectorRegistry

from sumun.config.settings import DnsOverHttps, DnsOverTls, KeyPair, Settings
from sumun.loading.key_pair import UnusableKeyPair
from sumun.model.parents import SIGNATURE
from sumun.policy.engine import Policy
from sumun.sinkhole.server import Sinkhole
from sumun.telemetry.metrics import Metrics
from sumun.upstream.resolver import Upstreams
from tests.integration.test_sinkhole import HQ, MILITARY, ZONE, Running
from tests.integration.test_sinkhole import settings as plain_settings
from tests.support.builders import DEEPSEEK, policy, rule, segment, three_segments
from tests.support.certificates import self_signed
from tests.support.dns_servers import Behaviour, serving
from tests.support.recording import RecordingEvents
from tests.unit.sinkhole.asking import query

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in ("dig", "kdig", "curl", "dnsperf")),
        reason="needs dig, kdig, curl and dnsperf",
    ),
]

BLOCKED = query("chat.deepseek.com", id=0, use_edns=0)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return self_signed(tmp_path_factory.mktemp("keys"))


def settings(keys: KeyPair, **more: Any) -> Settings:
    plain = plain_settings()
    listener = replace(
        plain.listen.dns, tls=DnsOverTls(0, keys), https=DnsOverHttps(0, keys, path="/dns-query"), **more
    )
    return replace(plain, listen=replace(plain.listen, dns=listener))


@asynccontextmanager
async def running(
    configured: Settings,
    behaviour: Behaviour = ZONE,
    *,
    policy: Callable[[], Policy] = three_segments,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),  # noqa: TID251 - a test is its own composition root
) -> AsyncIterator[Running]:
    registry, events, compiled = CollectorRegistry(), RecordingEvents(), policy()
    metrics = Metrics(registry)
    async with serving(behaviour) as upstream:
        upstreams = Upstreams((upstream.upstream(),), metrics=metrics, timeout=20.0)
        it = Sinkhole(
            settings=configured,
            policy=lambda: compiled,
            events=events,
            metrics=metrics,
            upstreams=upstreams,
            clock=clock,
            reuse_port=False,
        )
        await it.start()
        try:
            yield Running(it, events.seen, registry, upstream)
        finally:
            await it.stop()
            await upstreams.close()
        assert sum_of(registry, "sumun_dns_queries_total") == sum_of(registry, "sumun_dns_responses_total")


def sum_of(registry: CollectorRegistry, name: str) -> float:
    return sum(s.value for m in registry.collect() for s in m.samples if s.name == name)


def run(scenario: Callable[[Running], Awaitable[None]], configured: Settings, **more: Any) -> None:
    async def main() -> None:
        async with asyncio.timeout(100), running(configured, **more) as it:
            await scenario(it)

    asyncio.run(main())


async def command(*words: str, given: bytes = b"") -> str:
    process = await asyncio.create_subprocess_exec(
        *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate(given)
    return output.decode(errors="replace")


async def curl(it: Running, keys: KeyPair, path: str, *words: str, given: bytes = b"", client: str = MILITARY) -> str:
    """What curl says of the response: version, status, type, caching and length of the body."""
    shown = r"%{http_version} %{http_code} %header{content-type} %header{cache-control} %{size_download}"
    url = f"https://127.0.0.1:{it.sinkhole.https_port}{path}"
    fixed = ("curl", "-s", "--max-time", "30", "--cacert", str(keys.certificate), "--interface", client)
    return await command(*fixed, "-o", "/dev/null", "-w", shown, *words, url, given=given)


@pytest.mark.parametrize(
    ("options", "protocol"),
    [(("+tls",), "dot"), (("+tls", "+keepopen"), "dot"), (("+https",), "doh"), (("+https-get",), "doh")],
    ids=["tls", "tls kept open", "https post", "https get"],
)
@pytest.mark.parametrize("program", ["dig", "kdig"])
def test_real_clients_get_the_answers_of_their_segment(
    keys: KeyPair, program: str, options: tuple[str, ...], protocol: str
) -> None:
    async def ask(it: Running, client: str, name: str, *more: str) -> str:
        port = it.sinkhole.tls_port if protocol == "dot" else it.sinkhole.https_port
        words = ["+https" if o == "+https-get" and program == "kdig" else o for o in options]
        words += ["+https-get"] if program == "kdig" and "+https-get" in options else []
        fixed = (program, "-b", client, "-p", str(port), "@127.0.0.1", name, "A", *words)
        return (await command(*fixed, *more, "+time=20", "+retry=0")).strip()

    async def scenario(it: Running) -> None:
        assert await ask(it, MILITARY, "chat.deepseek.com", "+short") == "192.0.2.1"
        assert await ask(it, HQ, "chat.deepseek.com", "+short") == "192.0.2.66"
        assert await ask(it, MILITARY, "www.example.test", "+short") == "192.0.2.80"
        assert await ask(it, MILITARY, "chat.deepseek.com", "+short") == "192.0.2.1"  # now a ready one
        assert "blocked by rule no-generative-ai" in await ask(it, MILITARY, "chat.deepseek.com", "+edns")
        assert it.total("sumun_dns_queries_total", protocol=protocol) == 5
        assert {event.context.protocol for event in it.events} == {protocol}

    if program == "dig" and "+keepopen" in options:
        options = ("+tls", "+keepopen")
    run(scenario, settings(keys))


def test_answers_to_padded_queries_are_padded(keys: KeyPair) -> None:
    async def scenario(it: Running) -> None:
        for name in ("chat.deepseek.com", "www.example.test", "nowhere.example.test"):
            for _ in range(2):
                fixed = ("kdig", "-b", MILITARY, "-p", str(it.sinkhole.tls_port), "@127.0.0.1", name)
                said = await command(*fixed, "+tls", "+padding=128", "+edns", "+time=20")
                assert ";; Received 468 B" in said, said
        plain = ("kdig", "-b", MILITARY, "-p", str(it.sinkhole.port), "@127.0.0.1", "chat.deepseek.com")
        assert ";; Received 468 B" not in await command(*plain, "+padding=128", "+edns")

    run(scenario, settings(keys))


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_http_says_what_is_wrong(keys: KeyPair, version: str) -> None:
    number = version.removeprefix("--http")
    text = urlsafe_b64encode(BLOCKED).rstrip(b"=").decode()
    typed = ("-H", "content-type: application/dns-message", "--data-binary", "@-")

    async def scenario(it: Running) -> None:
        async def said(path: str, *words: str, given: bytes = b"") -> str:
            return await curl(it, keys, path, version, *words, given=given)

        good = await said(f"/dns-query?dns={text}")
        assert good.startswith(f"{number} 200 application/dns-message max-age=30 "), good
        assert await said("/dns-query", *typed, given=BLOCKED) == good
        refused = {
            "/dns-query": 400,
            "/dns-query?dns=a%20b": 400,
            "/dns-query?dns=AAAA": 400,
            f"/other?dns={text}": 404,
            "/": 404,
            f"/dns-query?dns={'A' * 6000}": 413,
        }
        for path, status in refused.items():
            assert (await said(path)).split() == [number, str(status), "0"], path
        assert (await said("/dns-query", "-X", "DELETE")).split()[1] == "405"
        assert (await said("/dns-query", "--data-binary", "@-", given=BLOCKED)).split()[1] == "415"
        assert (await said("/dns-query", *typed, given=bytes(10_000_000))).split()[1] == "413"
        assert (await said(f"/dns-query?dns={text}", "-H", f"x: {'y' * 100_000}")).split()[1] != "200"
        assert await said(f"/dns-query?dns={text}") == good
        assert it.total("sumun_dns_https_refused_total") >= 9

    run(scenario, settings(keys))


@pytest.mark.parametrize("mode", ["dot", "doh"])
def test_dnsperf_loses_nothing(keys: KeyPair, mode: str, tmp_path: Path) -> None:
    asked = [f"host-{n}.{zone}" for n in range(300) for zone in ("deepseek.com", "example.test")]
    (tmp_path / "names").write_text("".join(f"{name} A\n" for name in asked))

    async def scenario(it: Running) -> None:
        port = it.sinkhole.tls_port if mode == "dot" else it.sinkhole.https_port
        fixed = ("dnsperf", "-m", mode, "-s", "127.0.0.1", "-p", str(port), "-a", MILITARY, "-c", "5", "-n", "5")
        said = await command(*fixed, "-t", "30", "-d", str(tmp_path / "names"))
        assert "Queries completed:    3000 (100.00%)" in said, said
        assert it.total("sumun_dns_queries_total", protocol=mode) == 3000
        assert sum(1 for event in it.events) == it.total("sumun_dns_queries_total") // 2

    run(scenario, settings(keys))


def client_context(keys: KeyPair, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(keys.certificate))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


type Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def over_tls(
    port: int, keys: KeyPair, *protocols: str, client: str = MILITARY, before: bytes = b""
) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(client, 0))
    try:
        writer.write(before)
        await writer.start_tls(client_context(keys, *protocols), server_hostname="dns.example")
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def asked_framed(stream: Stream, wire: bytes) -> dns.message.Message:
    reader, writer = stream
    writer.write(len(wire).to_bytes(2) + wire)
    return dns.message.from_wire(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))


def test_a_protocol_named_in_the_handshake_is_tolerated(keys: KeyPair) -> None:
    async def scenario(it: Running) -> None:
        for named, agreed in (("dot", "dot"), ("http/1.1", None)):
            async with over_tls(it.sinkhole.tls_port, keys, named) as stream:
                assert stream[1].get_extra_info("ssl_object").selected_alpn_protocol() == agreed
                assert (await asked_framed(stream, BLOCKED)).answer

    run(scenario, settings(keys))


def test_answers_over_tls_come_as_they_are_ready(keys: KeyPair) -> None:
    async def scenario(it: Running) -> None:
        async with over_tls(it.sinkhole.tls_port, keys) as (reader, writer):
            for number, name in enumerate(("www.example.test", "chat.deepseek.com"), start=1):
                wire = query(name, id=number)
                writer.write(len(wire).to_bytes(2) + wire)
            ids = []
            for _ in range(2):
                message = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                ids.append(dns.message.from_wire(message).id)
                release.set()
            assert ids == [2, 1]

    release = asyncio.Event()

    async def slowly(wire: bytes, transport: str) -> Any:
        await release.wait()
        return await ZONE(wire, transport)

    run(scenario, settings(keys), behaviour=slowly)


def test_a_renewed_certificate_is_taken_without_losing_a_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pair = self_signed(tmp_path)
    before = client_context(pair)

    async def accepted(port: int) -> bool:
        with suppress(ssl.SSLError):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client_context(pair), server_hostname="dns.example"
            )
            writer.close()
            return True
        return False

    async def until(port: int, wanted: bool) -> None:
        while await accepted(port) is not wanted:  # noqa: ASYNC110 - the files are looked at in intervals
            await asyncio.sleep(0.05)

    async def scenario(it: Running) -> None:
        port = it.sinkhole.tls_port
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=before, server_hostname="dns.example", local_addr=(MILITARY, 0)
        )
        assert (await asked_framed((reader, writer), BLOCKED)).answer
        pair.key.write_text("half a key")
        while "is served on" not in caplog.text:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
        assert await accepted(port)
        self_signed(tmp_path)
        await until(port, True)
        assert (await asked_framed((reader, writer), BLOCKED)).answer  # still the old connection
        writer.close()

    run(scenario, settings(pair))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda pair: pair.key.chmod(0o640), r"key.pem` is open to others than its owner \(mode 0640\): `chmod 600`"),
        (lambda pair: pair.key.unlink(), r"key.pem` cannot be read: No such file"),
        (lambda pair: pair.certificate.unlink(), r"cert.pem` cannot be read: No such file"),
        (lambda pair: pair.certificate.write_text("no"), "one of them is no PEM file"),
        (lambda pair: pair.key.write_bytes(self_signed(other(pair)).key.read_bytes()), "not that of the certificate"),
    ],
)
def test_unusable_files_are_refused_with_what_to_do(tmp_path: Path, spoil: Callable[[KeyPair], Any], why: str) -> None:
    pair = self_signed(tmp_path)
    spoil(pair)

    async def main() -> None:
        with pytest.raises(UnusableKeyPair, match=why):
            async with running(settings(pair)):
                pass

    asyncio.run(main())


def other(pair: KeyPair) -> Path:
    folder = pair.key.parent / "other"
    folder.mkdir()
    return folder


class Web:
    """One HTTP/2 connection of a client that can do anything."""

    def __init__(self, stream: Stream) -> None:
        self.reader, self.writer = stream
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.http.initiate_connection()
        self.events: list[h2.events.Event] = []

    def get(self, *more: tuple[str, str], end: bool = True) -> int:
        stream = self.http.get_next_available_stream_id()
        path = "/dns-query?dns=" + urlsafe_b64encode(BLOCKED).rstrip(b"=").decode()
        fields = [(":method", "GET"), (":scheme", "https"), (":authority", "dns.example"), (":path", path), *more]
        self.http.send_headers(stream, fields, end_stream=end)
        return stream

    async def flush(self) -> None:
        self.writer.write(self.http.data_to_send())
        await self.writer.drain()

    async def until(self, kind: type[h2.events.Event], count: int = 1) -> list[Any]:
        await self.flush()
        while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
            data = await self.reader.read(65_536)
            if not data:
                raise EOFError
            self.events += self.http.receive_data(data)
            await self.flush()
        return found

    async def address(self, *more: tuple[str, str]) -> str:
        """The address that a query for a blocked name is answered with."""
        self.events.clear()
        stream = self.get(*more)
        await self.until(h2.events.StreamEnded)
        body = b"".join(e.data for e in self.events if isinstance(e, h2.events.DataReceived) and e.stream_id == stream)
        return str(dns.message.from_wire(body).answer[0][0])


def test_a_hundred_requests_at_once_on_one_connection(keys: KeyPair) -> None:
    async def scenario(it: Running) -> None:
        async with over_tls(it.sinkhole.https_port, keys, "h2") as stream:
            web = Web(stream)
            for _ in range(100):
                web.get()
            assert len(await web.until(h2.events.StreamEnded, 100)) == 100

    run(scenario, settings(keys))


def test_rapid_resets_end_their_connection_and_nobody_elses(keys: KeyPair) -> None:
    async def scenario(it: Running) -> None:
        async with over_tls(it.sinkhole.https_port, keys, "h2", client=HQ) as stream, asyncio.timeout(60):
            web = Web(stream)
            reading = asyncio.create_task(web.reader.read(-1))
            with suppress(OSError):
                while not reading.done():
                    for _ in range(20):
                        web.http.reset_stream(web.get())
                    await web.flush()
                    await asyncio.sleep(0.01)
            with suppress(OSError):
                await reading
        async with over_tls(it.sinkhole.https_port, keys, "h2") as stream:
            assert await Web(stream).address() == "192.0.2.1"

    async def never(wire: bytes, transport: str) -> Any:
        await asyncio.Event().wait()

    run(scenario, settings(keys), behaviour=never)


@pytest.mark.parametrize("protocols", [("h2",), ("http/1.1",)])
def test_who_dribbles_octets_is_let_go(keys: KeyPair, protocols: tuple[str, ...]) -> None:
    """Slow loris: an octet now and then is no request."""

    async def scenario(it: Running) -> None:
        for listener in it.sinkhole._streams:
            listener.idle = 0.5
        octets = h2.connection.H2Connection()
        octets.initiate_connection()
        sent = (
            octets.data_to_send() + b"\0\0\x08\x06\0\0\0\0\0" * 99 if "h2" in protocols else b"GET / HTTP/1.1\r\n" * 99
        )
        async with over_tls(it.sinkhole.https_port, keys, *protocols) as (reader, writer), asyncio.timeout(60):
            reading = asyncio.create_task(reader.read(-1))
            with suppress(OSError):
                for octet in sent:
                    writer.write(bytes((octet,)))
                    await writer.drain()
                    await asyncio.sleep(0.05)
                    if reading.done():
                        break
            await reading

    run(scenario, settings(keys))


def test_octets_that_are_no_tls_are_let_go(keys: KeyPair) -> None:
    async def scenario(it: Running) -> None:
        for port in (it.sinkhole.tls_port, it.sinkhole.https_port):
            for sent in (b"GET / HTTP/1.1\r\n\r\n", BLOCKED, bytes(20_000), b"\x16\x03\x01\xff\xff" + bytes(70_000)):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with suppress(OSError):
                    writer.write(sent)
                    await reader.read(-1)
                writer.close()

    run(scenario, settings(keys))


FORWARDER = (ip_network("127.0.0.1/32"),)
INTRODUCED = b"PROXY TCP4 127.0.0.3 127.0.0.1 4000 853\r\n"
BINARY = SIGNATURE + b"\x21\x11\0\x0c" + ip_address("127.0.0.3").packed + bytes(4) + b"\x30\x39\x03\x55"


@pytest.mark.parametrize("header", [INTRODUCED, BINARY], ids=["version 1", "version 2"])
def test_a_listed_balancer_says_whose_connection_it_brings(keys: KeyPair, header: bytes) -> None:
    async def scenario(it: Running) -> None:
        async with over_tls(it.sinkhole.tls_port, keys, client=HQ, before=header) as stream:
            assert str((await asked_framed(stream, BLOCKED)).answer[0][0]) == "192.0.2.1"
        async with over_tls(it.sinkhole.https_port, keys, "h2", client=HQ, before=header) as stream:
            assert await Web(stream).address() == "192.0.2.1"
        reader, writer = await asyncio.open_connection("127.0.0.1", it.sinkhole.port, local_addr=(HQ, 0))
        writer.write(header)
        assert str((await asked_framed((reader, writer), BLOCKED)).answer[0][0]) == "192.0.2.1"
        writer.close()
        assert {str(event.request.client) for event in it.events} == {"127.0.0.3"}
        assert {event.outcome.segment for event in it.events} == {"military-use"}

    run(scenario, settings(keys, trusted=FORWARDER))


@pytest.mark.parametrize("header", [INTRODUCED, BINARY], ids=["version 1", "version 2"])
def test_others_are_not_believed_and_counted(keys: KeyPair, header: bytes) -> None:
    async def scenario(it: Running) -> None:
        for port in (it.sinkhole.port, it.sinkhole.tls_port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(HQ, 0))
            writer.write(header)
            with suppress(OSError):
                assert await reader.read() == b""
            writer.close()
        technique = {"technique": "chosen_address", "segment": "hq-network"}
        assert it.total("sumun_bypass_attempts_total", **technique) == 2
        assert not it.events

    run(scenario, settings(keys))


def test_x_forwarded_for_counts_from_listed_parents_only(keys: KeyPair) -> None:
    told = ("x-forwarded-for", "127.0.0.3")

    async def scenario(it: Running) -> None:
        async with over_tls(it.sinkhole.https_port, keys, "h2", client=HQ) as stream:
            web = Web(stream)
            assert await web.address() == "192.0.2.66"
            assert await web.address(told) == "192.0.2.1"
            assert await web.address(("x-forwarded-for", "10.20.0.9, 127.0.0.1")) == "192.0.2.1"
            assert await web.address() == "192.0.2.66"
        async with over_tls(it.sinkhole.https_port, keys, "h2", client="127.0.0.2") as stream:
            assert await Web(stream).address(("x-forwarded-for", "127.0.0.1")) == "192.0.2.1"
        technique = {"technique": "chosen_address", "segment": "external-facing"}
        assert it.total("sumun_bypass_attempts_total", **technique) == 1
        told_by_curl = ("-H", "X-Forwarded-For: 127.0.0.3", "--http1.1")
        text = urlsafe_b64encode(BLOCKED).rstrip(b"=").decode()
        await curl(it, keys, f"/dns-query?dns={text}", *told_by_curl, client=HQ)
        assert str(it.events[-1].request.client) == "127.0.0.3"

    run(scenario, settings(keys, trusted=FORWARDER))


DATAGRAM = SIGNATURE + b"\x21\x12\0\x0c" + ip_address("127.0.0.3").packed + bytes(4) + b"\x30\x39\0\x35"


async def asked_udp(it: Running, *wires: bytes, client: str = HQ, answers: int | None = None) -> list[str]:
    """Addresses in the answers to these datagrams, all of one client."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((client, 0))
    sock.connect(("127.0.0.1", it.sinkhole.port))
    loop, found = asyncio.get_running_loop(), []
    try:
        for wire in wires:
            await loop.sock_sendall(sock, wire)
        for _ in range(len(wires) if answers is None else answers):
            reply = dns.message.from_wire(await loop.sock_recv(sock, 65_535))
            found.append(str(reply.answer[0][0]))
    finally:
        sock.close()
    return found


def test_a_listed_forwarder_says_whose_datagram_it_brings(keys: KeyPair) -> None:
    """By a PROXY header before it, or by a client subnet in it; such a query is answered from memory like any other."""
    subnet = query("chat.deepseek.com", use_edns=0, options=[dns.edns.ECSOption("127.0.0.3", 32)])

    async def scenario(it: Running) -> None:
        for introduced in (DATAGRAM + BLOCKED, subnet):
            for _ in range(3):
                assert await asked_udp(it, introduced) == ["192.0.2.1"]
        assert await asked_udp(it, BLOCKED) == ["192.0.2.66"]
        assert {str(event.request.client) for event in it.events} == {"127.0.0.1", "127.0.0.3"}
        assert it.total("sumun_dns_queries_total", segment="military-use") == 6
        assert not any(b"\x00\x08\x00" in wire[12:] for wire, _, _ in it.upstream.asked)  # no subnet leaves

    run(scenario, settings(keys, trusted=FORWARDER))


def test_nobody_else_chooses_an_address(keys: KeyPair) -> None:
    subnet = query("chat.deepseek.com", use_edns=0, options=[dns.edns.ECSOption("127.0.0.1", 32)])

    async def scenario(it: Running) -> None:
        assert await asked_udp(it, DATAGRAM + BLOCKED, subnet, client=MILITARY, answers=1) == ["192.0.2.1"]
        technique = {"technique": "chosen_address", "segment": "military-use"}
        assert it.total("sumun_bypass_attempts_total", **technique) == 2
        assert it.total("sumun_dns_responses_total", rcode="DROPPED") == 1

    run(scenario, settings(keys, trusted=FORWARDER))


def test_limits_count_for_the_client_that_a_forwarder_brings(keys: KeyPair) -> None:
    """The forwarder is not limited for what it brings; each of its clients is."""
    limited = settings(keys, trusted=FORWARDER)
    limited = replace(limited, resolving=replace(limited.resolving, rate_limit=5))
    other = DATAGRAM.replace(ip_address("127.0.0.3").packed, ip_address("10.20.0.9").packed)

    async def scenario(it: Running) -> None:
        wires = [DATAGRAM + query("chat.deepseek.com", id=n) for n in range(40)]
        await asked_udp(it, *wires, other + BLOCKED, answers=6)
        await asked_udp(it, other + BLOCKED)
        while it.total("sumun_dns_queries_total", segment="military-use") < 42:  # noqa: ASYNC110 - counters set no event
            await asyncio.sleep(0.01)
        dropped = it.total("sumun_dns_responses_total", rcode="DROPPED", segment="military-use")
        assert 20 <= dropped <= 35  # five of a second, of one or two

    run(scenario, limited)


def test_a_forwarder_that_hides_its_clients_is_told_of(keys: KeyPair, caplog: pytest.LogCaptureFixture) -> None:
    moment = datetime(2026, 1, 5, 12, tzinfo=UTC)

    async def main() -> None:
        nonlocal moment
        async with running(settings(keys), clock=lambda: moment, policy=one_segment) as it:
            for n in range(30):
                await asked_udp(it, *(query("chat.deepseek.com", id=i) for i in range(50)), client=HQ)
                moment += timedelta(seconds=4)
                if n == 0:
                    await asked_udp(it, BLOCKED, client=MILITARY)
            await asked_udp(it, BLOCKED, client=HQ)
            assert it.total("sumun_dns_one_client_ratio", segment="site") > 0.99
            assert "queries of segment `site` within the hour came from `127.0.0.1`" in caplog.text
            assert caplog.text.count("listen.dns.trusted") == 1

    asyncio.run(main())


def one_segment() -> Policy:
    block = rule("no-deepseek", "block", services=["deepseek"])
    return policy(segment("site", "127.0.0.0/8", rules=[block]), services=[DEEPSEEK])
