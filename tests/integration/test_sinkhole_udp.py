"""The UDP side on real sockets, with many datagrams for each system call and with one."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime

import dns.message
import dns.rcode
import pytest
from prometheus_client import CollectorRegistry

from sumun.sinkhole import mmsg
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.limits import RateLimit
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.tally import Tally
from sumun.sinkhole.udp import UdpListener
from sumun.telemetry.metrics import Metrics
from sumun.upstream.errors import UpstreamError
from tests.support.builders import three_segments
from tests.support.dns_servers import zone
from tests.support.recording import RecordingEvents
from tests.unit.sinkhole.asking import PAGES, query

pytestmark = pytest.mark.integration
BOTH_WAYS = pytest.mark.parametrize(
    "batched", [pytest.param(True, marks=pytest.mark.skipif(not mmsg.AVAILABLE, reason="needs Linux")), False]
)
ZONE = zone([f"{name}. 300 IN A 192.0.2.80" for name in ("www.example.test", "chat.deepseek.com", "chatgpt.com")])


class Served:
    """A listener, and what it counted."""

    def __init__(self, batched: bool, address: str, limit: RateLimit | None) -> None:
        self.events, self.registry, self.asked = RecordingEvents(), CollectorRegistry(), 0
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = socket.socket(family, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        if family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.sock.bind((address, 0))
        self.port = self.sock.getsockname()[1]
        compiled = three_segments()
        self.handler = Handler(
            responder=Responder(policy=lambda: compiled, pages=PAGES),
            upstream=self,
            tally=Tally(Metrics(self.registry), self.events),
            clock=lambda: datetime.now(UTC),  # noqa: TID251 - a test is its own composition root
            limit=limit,
        )
        self.listener = UdpListener(self.sock, self.handler, batched=batched)

    async def ask(self, query: bytes) -> bytes:
        self.asked += 1
        for reply in await ZONE(query, "udp"):
            return reply
        raise UpstreamError("silent")

    def total(self, metric: str, **labels: str) -> float:
        self.handler.settle()
        samples = [s for m in self.registry.collect() for s in m.samples if s.name == metric]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())

    async def counted(self, what: str, number: int) -> None:
        """Wait until so many are counted; a query that gets no answer shows nowhere else."""
        while self.total(f"sumun_dns_{what}_total") < number:  # noqa: ASYNC110 - the counters set no event
            await asyncio.sleep(0.001)


def run(
    scenario: Callable[[Served], Awaitable[None]],
    batched: bool,
    address: str = "127.0.0.1",
    limit: RateLimit | None = None,
) -> None:
    async def main() -> None:
        it = Served(batched, address, limit)
        it.listener.start()
        try:
            async with asyncio.timeout(30):
                await scenario(it)
        finally:
            it.listener.stop_reading()
            await it.handler.drain(1)
            it.listener.close()
        assert it.total("sumun_dns_queries_total") == it.total("sumun_dns_responses_total")
        assert it.events.counted == len(it.events.seen)

    asyncio.run(main())


class Client:
    """A socket of one client, that asks and collects."""

    def __init__(self, source: str, server: str, port: int) -> None:
        self.sock = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((source, 0))
        self.sock.connect((server, port))

    async def exchange(self, wires: list[bytes], expected: int | None = None) -> list[bytes]:
        """Send all, and take as many answers; a connected socket takes them only from the address it asked."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(wires), 50):
            for wire in wires[start : start + 50]:
                await loop.sock_sendall(self.sock, wire)
            await asyncio.sleep(0)
        count = len(wires) if expected is None else expected
        return [await loop.sock_recv(self.sock, 65535) for _ in range(count)]


@BOTH_WAYS
@pytest.mark.parametrize(
    ("listen", "source", "server"),
    [
        ("127.0.0.1", "127.0.0.3", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.3", "127.0.0.77"),
        ("::", "127.0.0.3", "127.0.0.77"),
        ("::", "::1", "::1"),
        ("::1", "::1", "::1"),
    ],
)
def test_answers_come_from_where_the_query_went(batched: bool, listen: str, source: str, server: str) -> None:
    async def scenario(it: Served) -> None:
        client = Client(source, server, it.port)
        for _ in range(3):
            wires = [
                query("chat.deepseek.com", id=7),
                query("www.example.test", id=8),
                query("chat.deepseek.com", id=9),
            ]
            replies = {r.id: r for r in map(dns.message.from_wire, await client.exchange(wires))}
            assert set(replies) == {7, 8, 9}
            if source == "127.0.0.3":
                assert replies[7].answer[0].to_text().endswith("A 192.0.2.1")
                assert replies[8].answer[0].to_text().endswith("A 192.0.2.80")
            else:
                assert {r.rcode() for r in replies.values()} == {dns.rcode.REFUSED}
        client.sock.close()
        assert it.asked == (source == "127.0.0.3")

    run(scenario, batched, listen)


@BOTH_WAYS
def test_every_query_is_answered_to_whom_it_belongs_and_counted(batched: bool) -> None:
    """Several clients in different segments, thousands of queries in a few batches, all mixed."""
    names = ["chat.deepseek.com", "chatgpt.com", "www.example.test"]

    async def one(it: Served, source: str) -> None:
        client = Client(source, "127.0.0.1", it.port)
        wires = [query(random.choice(names), id=number) for number in range(600)]
        asked = {dns.message.from_wire(wire).id: dns.message.from_wire(wire) for wire in wires}
        for start in range(0, 600, 100):
            for reply in await client.exchange(wires[start : start + 100]):
                message = dns.message.from_wire(reply)
                assert message.question == asked[message.id].question
                name = message.question[0].name.to_text()
                blocked = source == "127.0.0.3" and name != "www.example.test."
                blocked |= source == "127.0.0.2" and name == "chat.deepseek.com."
                assert (addresses(message) == ["192.0.2.1"]) is blocked, (source, name)
        client.sock.close()

    def addresses(message: dns.message.Message) -> list[str]:
        return [record.to_text() for rrset in message.answer for record in rrset]

    async def scenario(it: Served) -> None:
        await asyncio.gather(*(one(it, source) for source in ("127.0.0.1", "127.0.0.2", "127.0.0.3")))
        assert it.total("sumun_dns_queries_total") == 1800
        assert it.total("sumun_dns_responses_total", rcode="DROPPED") == 0
        assert it.asked <= 3
        assert {str(event.request.client) for event in it.events.seen} == {"127.0.0.1", "127.0.0.2", "127.0.0.3"}

    run(scenario, batched)


@BOTH_WAYS
def test_what_is_over_the_limit_is_dropped_and_counted(batched: bool) -> None:
    async def scenario(it: Served) -> None:
        client = Client("127.0.0.3", "127.0.0.1", it.port)
        await client.exchange([query("chat.deepseek.com", id=n) for n in range(60)], expected=10)
        client.sock.close()
        await it.counted("queries", 60)
        assert it.total("sumun_dns_responses_total", rcode="DROPPED", segment="military-use") == 50

    run(scenario, batched, limit=RateLimit(10))


def malformed() -> Iterator[bytes]:
    """Packets that are wrong in some way: cut, grown, turned, with counts, pointers, options and labels that lie."""
    sound = [
        query("chat.deepseek.com"),
        query("chat.deepseek.com", use_edns=0, payload=4096, want_dnssec=True),
        query("a." * 120 + "deepseek.com", "HTTPS", use_edns=0),
    ]
    for wire in sound:
        yield from (wire[:length] for length in range(0, len(wire), 5))
        yield from (wire + bytes([octet]) * count for octet in (0, 0xC0, 0xFF) for count in (1, 2, 11, 500, 4000))
        for at in range(4, 12):  # counts of sections
            yield from (wire[:at] + bytes([octet]) + wire[at + 1 :] for octet in (1, 2, 0x7F, 0xFF))
        for flags in (0x8000, 0x8180, 0x2800, 0x7800, 0x1000, 0x0200, 0x0040, 0xFFFF):
            yield wire[:2] + flags.to_bytes(2) + wire[4:]
        for at in range(12, 40, 3):  # labels and pointers
            yield from (
                wire[:at] + bytes(pair) + wire[at + 2 :] for pair in ((0xC0, 12), (0xC0, at), (0x40, 1), (63, 63))
            )
    opt = query("chat.deepseek.com", use_edns=0)
    for options in (b"\0", b"\0\x0a\0\xff", b"\0\x0a\0\0", b"\0\x0f\0\x01x", b"\0\x08\0\x04\0\1\xff\xff", b"\xff" * 40):
        yield opt[:-2] + len(options).to_bytes(2) + options
        yield opt[:-2] + b"\xff\xff" + options
    yield opt + opt[-11:]
    chance = random.Random(9619)
    for _ in range(150):
        wire = bytearray(chance.choice(sound))
        for _ in range(chance.randrange(1, 6)):
            wire[chance.randrange(len(wire))] = chance.randrange(256)
        yield bytes(wire)


@BOTH_WAYS
def test_malformed_packets_are_answered_or_counted_and_hurt_nobody(batched: bool) -> None:
    corpus = list(malformed())
    assert len(set(corpus)) >= 300

    async def scenario(it: Served) -> None:
        client = Client("127.0.0.3", "127.0.0.1", it.port)
        loop, taken = asyncio.get_running_loop(), 0
        for wire in corpus:
            await loop.sock_sendall(client.sock, wire)
            taken += 1
            if taken % 20 == 0:
                await it.counted("queries", taken)
        await it.counted("responses", taken)
        assert it.total("sumun_dns_queries_total") == len(corpus)
        assert it.total("sumun_dns_responses_total", rcode="FORMERR") > 100
        assert it.total("sumun_dns_responses_total", rcode="DROPPED") > 10
        assert it.total("sumun_failure_decisions_total") == 0
        client.sock.close()
        fresh = Client("127.0.0.3", "127.0.0.1", it.port)
        (reply,) = await fresh.exchange([query("chat.deepseek.com", id=5)])
        assert dns.message.from_wire(reply).answer[0].to_text().endswith("A 192.0.2.1")
        fresh.sock.close()

    run(scenario, batched)


@BOTH_WAYS
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_what_the_kernel_throws_away_is_counted_as_a_query_and_a_drop(batched: bool) -> None:
    async def check() -> None:
        served = Served(batched, "127.0.0.1", None)
        served.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            for _ in range(200):
                client.sendto(query("chat.deepseek.com"), ("127.0.0.1", served.port))
        served.listener.start()
        served.listener.stop_reading()
        served.listener.close()
        served.handler.settle()
        value = served.registry.get_sample_value
        labels = {"segment": "unknown", "protocol": "udp", "type": "OTHER"}
        lost = value("sumun_dns_queries_total", labels) or 0
        assert 0 < lost < 200
        assert value("sumun_dns_responses_total", {"segment": "unknown", "rcode": "DROPPED", "source": "error"}) == lost
        samples = (sample for metric in served.registry.collect() for sample in metric.samples)
        assert sum(sample.value for sample in samples if sample.name == "sumun_dns_queries_total") == 200

    asyncio.run(check())
