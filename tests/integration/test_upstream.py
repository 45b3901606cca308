"""Upstreams against resolvers on loopback that are honest, dead, slow, lying, encrypted or limited to HTTP/1.1."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import CollectorRegistry

from sumun.config.settings import Transport, Upstream
from sumun.model.name import DomainName
from sumun.telemetry.metrics import Metrics
from sumun.upstream.errors import UpstreamError
from sumun.upstream.resolver import Upstreams
from tests.support.dns_servers import FakeResolver, serving, silent, zone

pytestmark = pytest.mark.integration

ZONE = zone(
    [
        "www.example.test. 60 IN A 192.0.2.80",
        "www.example.test. 60 IN AAAA 2001:db8::80",
        "alias.example.test. 60 IN CNAME www.example.test.",
        "loop.example.test. 60 IN CNAME loop.example.test.",
        *(f"large.example.test. 60 IN TXT {n:03}{'x' * 200}" for n in range(12)),
    ]
)


def query(name: str = "www.example.test", type_: str = "A") -> bytes:
    return dns.message.make_query(name, type_, id=0x1234, use_edns=0, payload=1232).to_wire()


@asynccontextmanager
async def asking(
    *upstreams: Upstream, registry: CollectorRegistry | None = None, **more: Any
) -> AsyncIterator[Upstreams]:
    it = Upstreams(upstreams, metrics=Metrics(registry or CollectorRegistry()), **{"timeout": 20.0, **more})
    try:
        yield it
    finally:
        await it.close()


def test_each_question_has_its_own_port_and_id() -> None:
    async def main() -> None:
        async with serving(ZONE) as fake, asking(fake.upstream()) as it:
            replies = [await it.ask(query()) for _ in range(8)]
        assert {reply[:2] for reply in replies} == {b"\x12\x34"}
        assert len({peer[1] for _, _, peer in fake.asked}) >= 7
        assert len({wire[:2] for wire, _, _ in fake.asked}) >= 7

    asyncio.run(main())


def test_a_mixed_spelling_must_come_back() -> None:
    async def main() -> None:
        registry = CollectorRegistry()
        async with serving(ZONE) as fake, asking(fake.upstream("fake"), registry=registry, mixed_case=True) as it:
            replies = [await it.ask(query()) for _ in range(6)]
        spellings = {wire[12:30] for wire, _, _ in fake.asked}
        assert len(spellings) >= 5
        assert {spelling.lower() for spelling in spellings} == {query()[12:30]}
        assert all(dns.message.from_wire(reply).answer for reply in replies)
        assert not registry.get_sample_value("sumun_dns_upstream_mismatched_total", {"upstream": "fake"})

    asyncio.run(main())


async def forgetful(wire: bytes, transport: str) -> Iterable[bytes]:
    """Forges in lower case, and then answers."""
    (honest,) = await ZONE(wire, transport)
    return [honest[:12] + honest[12:30].lower() + honest[30:], honest]


def test_a_forger_who_cannot_see_the_spelling_is_dropped_and_counted() -> None:
    async def main() -> None:
        registry = CollectorRegistry()
        async with serving(forgetful) as fake, asking(fake.upstream("fake"), registry=registry, mixed_case=True) as it:
            reply = await it.ask(query("an.address.with.letters.to.spell.www.example.test"))
        assert dns.message.from_wire(reply).rcode() == dns.rcode.NXDOMAIN
        assert registry.get_sample_value("sumun_dns_upstream_mismatched_total", {"upstream": "fake"}) == 1

    asyncio.run(main())


def test_mismatched_answers_are_counted() -> None:
    async def main() -> None:
        registry = CollectorRegistry()
        async with serving(lying) as fake, asking(fake.upstream("liar"), registry=registry, timeout=1.5) as it:
            with pytest.raises(UpstreamError):
                await it.ask(query())
            asked = sum(transport == "udp" for _, transport, _ in fake.asked)
        assert registry.get_sample_value("sumun_dns_upstream_mismatched_total", {"upstream": "liar"}) == 4 * asked

    asyncio.run(main())


class Sometimes:
    """Answers, but waits for leave where it is told to be slow."""

    def __init__(self) -> None:
        self.slow, self.leave = False, asyncio.Event()

    async def __call__(self, wire: bytes, transport: str) -> Iterable[bytes]:
        if self.slow:
            await self.leave.wait()
        return await ZONE(wire, transport)


def test_a_second_resolver_is_asked_when_the_first_is_slower_than_usual() -> None:
    """And not before enough is known of what is usual, nor for more than a tenth of all questions."""

    async def main() -> None:
        registry, first = CollectorRegistry(), Sometimes()
        async with (
            serving(first) as slow,
            serving(ZONE) as other,
            asking(slow.upstream("first"), other.upstream("other"), registry=registry, timeout=60.0) as it,
        ):
            for _ in range(40):
                await it.ask(query())
            before = len(other.asked)
            assert before <= 4
            first.slow = True
            async with asyncio.timeout(15):  # the first would not answer before 18 s are over
                assert dns.message.from_wire(await it.ask(query())).answer
            assert len(other.asked) == before + 1
            first.leave.set()
            while it._late:
                await asyncio.gather(*it._late)
        hedged = registry.get_sample_value("sumun_dns_upstream_hedged_total", {"upstream": "first"})
        assert hedged == before + 1
        labels = {"upstream": "first", "outcome": "answered"}
        assert registry.get_sample_value("sumun_dns_upstream_duration_seconds_count", labels) == 41

    asyncio.run(main())


def test_a_slow_first_resolver_still_answers_where_the_second_cannot() -> None:
    async def main() -> None:
        first, refused = Sometimes(), asyncio.Event()

        async def telling(wire: bytes, transport: str) -> Iterable[bytes]:
            if first.slow:
                refused.set()
            return await refusing(wire, transport)

        async with (
            serving(first) as slow,
            serving(telling) as unhelpful,
            asking(slow.upstream(), unhelpful.upstream(), timeout=60.0) as it,
        ):
            for _ in range(40):
                await it.ask(query())
            first.slow = True
            asked = asyncio.create_task(it.ask(query()))
            await refused.wait()
            first.leave.set()
            assert dns.message.from_wire(await asked).answer

    asyncio.run(main())


def test_truncation_leads_to_tcp() -> None:
    async def main() -> None:
        async with serving(ZONE) as fake, asking(fake.upstream()) as it:
            message = dns.message.from_wire(await it.ask(query("large.example.test", "TXT")))
            await it.ask(query("large.example.test", "TXT"))
        assert len(message.answer[0]) == 12
        assert not message.flags & dns.flags.TC
        assert fake.connections == 1  # and is used again

    asyncio.run(main())


def test_the_next_resolver_is_asked_and_the_dead_one_later_last() -> None:
    async def main() -> None:
        registry = CollectorRegistry()
        async with (
            serving(silent) as dead,
            serving(ZONE) as alive,
            asking(dead.upstream("dead"), alive.upstream("alive"), registry=registry, timeout=6) as it,
        ):
            await it.ask(query())
            await it.ask(query())
        assert (len(dead.asked), len(alive.asked)) == (1, 2)
        labels = {"upstream": "dead", "outcome": "timeout"}
        assert registry.get_sample_value("sumun_dns_upstream_duration_seconds_count", labels) == 1

    asyncio.run(main())


async def refusing(wire: bytes, transport: str) -> Iterable[bytes]:
    reply = dns.message.make_response(dns.message.from_wire(wire))
    reply.set_rcode(dns.rcode.REFUSED)
    return [reply.to_wire()]


def test_a_refusal_is_passed_on_only_if_nobody_knows_better() -> None:
    async def main() -> None:
        async with serving(refusing) as unhelpful, serving(ZONE) as helpful:
            async with asking(unhelpful.upstream(), helpful.upstream()) as it:
                assert dns.message.from_wire(await it.ask(query())).rcode() == dns.rcode.NOERROR
            async with asking(unhelpful.upstream()) as it:
                assert dns.message.from_wire(await it.ask(query())).rcode() == dns.rcode.REFUSED

    asyncio.run(main())


async def lying(wire: bytes, transport: str) -> Iterable[bytes]:
    (honest,) = await ZONE(wire, transport)
    return [bytes([wire[0] ^ 0xFF]) + honest[1:], honest.replace(b"www", b"wwx"), wire, b"", honest[:5]]


@pytest.mark.parametrize("behaviour", [silent, lying])
def test_without_an_honest_answer_it_is_an_upstream_fault(behaviour: Any) -> None:
    async def main() -> None:
        async with serving(behaviour) as fake, asking(fake.upstream("udp://fake"), timeout=0.3) as it:
            with pytest.raises(UpstreamError, match="no resolver answered: `udp://fake`: timed out"):
                await it.ask(query())

    asyncio.run(main())


def test_a_flood_of_guesses_ends_the_exchange() -> None:
    async def flooding(wire: bytes, transport: str) -> Iterable[bytes]:
        return [bytes([n, n]) + wire[2:] for n in range(200)]

    async def main() -> None:
        async with serving(flooding) as fake, asking(fake.upstream()) as it:
            with pytest.raises(UpstreamError, match="do not match the question"):
                await it.ask(query())

    asyncio.run(main())


def test_a_closed_port_is_noticed_at_once() -> None:
    async def main() -> None:
        async with serving(ZONE) as gone:
            pass
        async with asking(gone.upstream("gone"), timeout=60.0) as it, asyncio.timeout(30):
            with pytest.raises(UpstreamError, match=r"`gone`: .*refused"):
                await it.ask(query())

    asyncio.run(main())


def test_no_upstream_at_all_is_said() -> None:
    async def main() -> None:
        async with asking() as it:
            with pytest.raises(UpstreamError, match="no resolver is configured"):
                await it.ask(query())

    asyncio.run(main())


def test_system_resolvers_are_those_of_resolv_conf(tmp_path: Path) -> None:
    async def main() -> None:
        conf = tmp_path / "resolv.conf"
        conf.write_text("nameserver 127.0.0.1\n")
        system = Upstream("system", Transport.SYSTEM)
        ours = [(ip_address("127.0.0.1"), 53)]
        async with serving(ZONE) as fake:
            async with asking(system, resolv_conf=conf, ours=ours) as it:
                with pytest.raises(UpstreamError, match="names no resolver other than this one"):
                    await it.ask(query())
            async with asking(system, fake.upstream(), resolv_conf=conf, ours=ours) as it:
                assert dns.message.from_wire(await it.ask(query())).answer

    asyncio.run(main())


def test_addresses_of_both_families_are_found_through_aliases() -> None:
    async def main() -> None:
        async with serving(ZONE) as fake, asking(fake.upstream()) as it:
            both = (ip_address("192.0.2.80"), ip_address("2001:db8::80"))
            assert await it.addresses(DomainName("www.example.test")) == both
            assert await it.addresses(DomainName("alias.example.test")) == both
            assert await it.addresses(DomainName("nowhere.example.test")) == ()
            assert await it.addresses(DomainName(r"a\046b.example.test")) == ()
            with pytest.raises(UpstreamError, match=r"resolving `loop.example.test`"):
                await it.addresses(DomainName("loop.example.test"))

    asyncio.run(main())


def test_many_questions_at_once_are_all_answered() -> None:
    async def main() -> None:
        async with serving(ZONE) as fake, asking(fake.upstream(), timeout=30) as it:
            replies = await asyncio.gather(*(it.ask(query()) for _ in range(600)))
        assert len(replies) == 600

    asyncio.run(main())


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's TLS context, over a certificate for `dns.example` that is good now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dns.example")])
    now = datetime.now(UTC)  # noqa: TID251 - TLS compares with the real clock
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("dns.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(path))
    server.load_cert_chain(path)
    return server, client


def over_tls(fake: FakeResolver, name: str = "dns.example") -> Upstream:
    return Upstream("tls://fake", Transport.TLS, "127.0.0.1", fake.port, name)


def test_dns_over_tls_uses_its_connection_again(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        async with serving(ZONE, contexts[0]) as fake, asking(over_tls(fake), tls=contexts[1]) as it:
            for _ in range(3):
                assert dns.message.from_wire(await it.ask(query())).answer
            assert fake.connections == 1
            assert {transport for _, transport, _ in fake.asked} == {"stream"}

    asyncio.run(main())


def test_dns_over_tls_checks_the_name(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        async with serving(ZONE, contexts[0]) as fake, asking(over_tls(fake, "other.example"), tls=contexts[1]) as it:
            with pytest.raises(UpstreamError, match=r"certificate is not valid for 'other\.example'"):
                await it.ask(query())
            assert not fake.asked

    asyncio.run(main())


def test_a_connection_that_the_server_closed_is_opened_again(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async def main() -> None:
        async with serving(ZONE, contexts[0]) as fake, asking(over_tls(fake), tls=contexts[1]) as it:
            await it.ask(query())
            fake.hang_up()
            assert dns.message.from_wire(await it.ask(query())).answer
            assert fake.connections == 2

    asyncio.run(main())


@asynccontextmanager
async def web_server(tls: ssl.SSLContext, status: str = "200 OK") -> AsyncIterator[tuple[int, list[bytes]]]:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                wire = await reader.readexactly(length)
                seen.extend((head, wire))
                (reply,) = await ZONE(wire, "stream")
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(reply)}\r\n\r\n".encode() + reply)
        except (EOFError, OSError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()


def test_dns_over_https(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        async with web_server(contexts[0]) as (port, seen):
            upstream = Upstream("https://dns.example/q", Transport.HTTPS, "127.0.0.1", port, "dns.example", "/q")
            async with asking(upstream, tls=contexts[1]) as it:
                for _ in range(2):
                    reply = await it.ask(query())
                    assert dns.message.from_wire(reply).answer
                    assert reply[:2] == query()[:2]
        assert seen[0].startswith(b"POST /q HTTP/1.1\r\nHost: dns.example:%d\r\nContent-Type: application/d" % port)
        assert seen[1][:2] == b"\0\0"  # an id would only defeat caches

    asyncio.run(main())


def test_a_web_server_that_is_no_resolver_is_said(contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    async def main() -> None:
        async with web_server(contexts[0], "404 Not Found") as (port, _):
            upstream = Upstream("https://dns.example", Transport.HTTPS, "127.0.0.1", port, "dns.example")
            async with asking(upstream, tls=contexts[1]) as it:
                with pytest.raises(UpstreamError, match="404 not found"):
                    await it.ask(query())

    asyncio.run(main())
