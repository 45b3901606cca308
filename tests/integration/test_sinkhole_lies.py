"""The sinkhole before a resolver that lies: nothing breaks, nothing hangs, nothing grows, and all of it is counted."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_address

import dns.message
import dns.rcode
import pytest
from prometheus_client import CollectorRegistry

from sumun.sinkhole.handler import Handler
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.tally import Tally
from sumun.telemetry.metrics import Metrics
from sumun.upstream.resolver import Upstreams
from tests.support.builders import NOON, three_segments
from tests.support.dns_servers import serving
from tests.support.lies import bad_answers, honest, long_answers, other_answers
from tests.support.recording import RecordingEvents
from tests.unit.sinkhole.asking import PAGES, addresses, query

pytestmark = pytest.mark.integration

HQ = ip_address("127.0.0.1")
CORPORA: dict[str, Callable[[bytes], Iterable[bytes]]] = {
    "other": other_answers, "bad": bad_answers, "long": long_answers,
}  # fmt: skip
SAMPLE = {
    kind: list(make(query(f"000.{kind}.lies.test", id=0x1111, use_edns=0, payload=1232)))
    for kind, make in CORPORA.items()
}
"""Lies about one question of each kind; about another they are the same but for id and name."""
NAMES = [f"{n:03}.{kind}.lies.test" for kind, made in SAMPLE.items() for n in range(len(made))]


class Liar:
    """Tells the lie whose number is the first label of the name, and after a mismatched one the truth."""

    async def __call__(self, wire: bytes, transport: str) -> Iterable[bytes]:
        number, kind = dns.message.from_wire(wire).question[0].name.labels[:2]
        lie = SAMPLE[kind.decode()][int(number)].replace(b"\x03000", b"\x03" + number)
        lie = bytes(one ^ other ^ id_ for one, other, id_ in zip(lie, b"\x11\x11", wire, strict=False)) + lie[2:]
        if kind == b"other":
            return [lie, honest(wire)]
        if kind == b"long" and transport == "udp":
            return [wire[:2] + b"\x83\x80" + wire[4:10] + b"\0\0" + wire[12 : wire.index(b"\0", 12) + 5]]
        return [lie]


class Bench:
    """A handler, with the answers that it gives."""

    def __init__(self, upstreams: Upstreams, registry: CollectorRegistry, metrics: Metrics) -> None:
        self.registry, self.now, policy = registry, NOON, three_segments()
        self.handler = Handler(
            responder=Responder(policy=lambda: policy, pages=PAGES),
            upstream=upstreams,
            tally=Tally(metrics, RecordingEvents()),
            clock=lambda: self.now,
        )

    async def ask(self, name: str, **more: object) -> dns.message.Message | None:
        """What is answered; None: octets that the client's own parser refuses."""
        wire, answered = query(name, **more), asyncio.get_running_loop().create_future()
        self.handler.handle(wire, HQ, "tcp", answered.set_result)
        async with asyncio.timeout(60):
            reply = await answered
        try:
            return dns.message.from_wire(reply)
        except dns.exception.DNSException:
            assert reply[3] & 0xF != dns.rcode.SERVFAIL, "what is refused is refused in good form"
            return None

    def total(self, metric: str, **labels: str) -> float:
        self.handler.settle()
        samples = [s for m in self.registry.collect() for s in m.samples if s.name == metric]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())

    async def corpus(self, names: list[str], **more: object) -> list[dns.message.Message | None]:
        return [await self.ask(name, **more) for name in names]


@asynccontextmanager
async def lied_to() -> AsyncIterator[Bench]:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    async with serving(Liar()) as fake:
        upstreams = Upstreams((fake.upstream("liar"),), metrics=metrics, timeout=30.0)
        bench = Bench(upstreams, registry, metrics)
        try:
            yield bench
        finally:
            await bench.handler.drain(5)
            await upstreams.close()


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len({lie for made in SAMPLE.values() for lie in made}) >= 450
    assert max(len(lie) for lie in SAMPLE["long"]) > 60_000


@pytest.mark.parametrize("edns", [-1, 0])
def test_no_lie_breaks_or_hangs_it_and_each_is_counted(edns: int) -> None:
    async def main() -> None:
        async with lied_to() as it:
            answers = dict(zip(NAMES, await it.corpus(NAMES, use_edns=edns), strict=True))
            truths = [answers[name] for name in NAMES if ".other." in name]
            assert all(truth and addresses(truth) == ["192.0.2.7"] for truth in truths), "a mismatch is passed over"
            assert it.total("sumun_dns_upstream_mismatched_total") == len(truths)
            assert it.total("sumun_dns_queries_total") == it.total("sumun_dns_responses_total") == len(NAMES)
            assert it.total("sumun_failure_decisions_total") == 0, "no parser of ours raised what it should not"
            refused = it.total("sumun_dns_responses_total", source="error", rcode="SERVFAIL")
            assert refused > 150
            truth = await it.ask("000.other.lies.test", use_edns=edns)
            assert truth
            assert addresses(truth) == ["192.0.2.7"]

    asyncio.run(main())


def test_memory_stays_flat() -> None:
    async def main() -> None:
        async with lied_to() as it:
            sizes = []
            tracemalloc.start()
            for _ in range(3):
                await it.corpus(NAMES[::4], use_edns=0)  # tracing memory takes its time
                it.now += timedelta(days=3)  # whatever was remembered is over, and asked for again
                it.handler.settle()
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            assert sizes[-1] - sizes[1] < 300_000, sizes

    asyncio.run(main())


def test_a_lie_about_another_name_is_not_remembered_for_it() -> None:
    """What a resolver adds about names that nobody asked for poisons nothing."""

    async def poisoning(wire: bytes, transport: str) -> Iterable[bytes]:
        if b"bait" in wire:
            return [honest(wire, "@ 600 A 192.0.2.7", "victim.test. 600 A 192.0.2.66", "test. 600 NS evil.test.")]
        return [honest(wire, "@ 600 A 192.0.2.80")]

    async def main() -> None:
        registry = CollectorRegistry()
        metrics = Metrics(registry)
        async with serving(poisoning) as fake:
            upstreams = Upstreams((fake.upstream(),), metrics=metrics, timeout=30.0)
            it = Bench(upstreams, registry, metrics)
            for _ in range(2):
                assert await it.ask("bait.test")
                answer = await it.ask("victim.test")
                assert answer
                assert addresses(answer) == ["192.0.2.80"]
            await it.handler.drain(5)
            await upstreams.close()

    asyncio.run(main())


def test_a_resolver_that_stalls_on_every_transport_is_given_up() -> None:
    async def stalling(wire: bytes, transport: str) -> Iterable[bytes]:
        if transport == "udp" and b"cut" in wire:
            return [wire[:2] + b"\x83\x80" + wire[4:10] + b"\0\0" + wire[12 : wire.index(b"\0", 12) + 5]]
        return []

    async def main() -> None:
        registry = CollectorRegistry()
        metrics = Metrics(registry)
        async with serving(stalling) as fake:
            upstreams = Upstreams((fake.upstream("liar"),), metrics=metrics, timeout=0.5)
            it = Bench(upstreams, registry, metrics)
            answers = await asyncio.gather(it.ask("silent.test"), it.ask("cut.test"))
            assert [answer and answer.rcode() for answer in answers] == [dns.rcode.SERVFAIL] * 2
            assert it.total("sumun_dns_upstream_duration_seconds_count", outcome="timeout") >= 2
            await it.handler.drain(5)
            await upstreams.close()

    asyncio.run(main())
