"""The sinkhole on loopback, asked by real `dig`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.message
import pytest
from prometheus_client import CollectorRegistry

from sumun.config.settings import Listen, Listener, PagesListener, Settings
from sumun.model.event import AccessDecided
from sumun.model.segment import DnsAnswer, DnsPolicy
from sumun.model.verdict import DataExposed, Verdict
from sumun.policy.engine import Policy
from sumun.sinkhole.server import CannotListen, Sinkhole
from sumun.telemetry.metrics import Metrics
from sumun.upstream.resolver import Upstreams
from tests.support.builders import DEEPSEEK, policy, rule, segment, three_segments
from tests.support.dns_servers import Behaviour, FakeResolver, serving, silent, zone
from tests.support.recording import RecordingEvents

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("dig") is None, reason="needs dig (dnsutils)"),
]

ZONE = zone(
    [
        "www.example.test. 300 IN A 192.0.2.80",
        "chat.deepseek.com. 300 IN A 192.0.2.66",
        "innocent.example.test. 300 IN CNAME chat.deepseek.com.",
        *(f"large.example.test. 300 IN TXT {number:03}{'x' * 200}" for number in range(12)),
    ]
)
HQ, EXTERNAL, MILITARY, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.9"


class Running:
    """A sinkhole, what it recorded and counted, and what its upstream was asked."""

    def __init__(self, sinkhole: Sinkhole, events: list[AccessDecided], registry: CollectorRegistry, up: FakeResolver):
        self.sinkhole, self._events, self.registry, self.upstream = sinkhole, events, registry, up

    @property
    def events(self) -> list[AccessDecided]:
        self.sinkhole.settle()
        return self._events

    async def dig(self, client: str, *words: str) -> str:
        command = ("dig", "-b", client, "-p", str(self.sinkhole.port), "@127.0.0.1", "+tries=1", "+time=8", *words)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        return output.decode()

    async def short(self, client: str, *words: str) -> str:
        return (await self.dig(client, *words, "+short")).strip()

    def total(self, metric: str, **labels: str) -> float:
        self.sinkhole.settle()
        samples = [s for m in self.registry.collect() for s in m.samples if s.name == metric]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())


def settings(dns_address: str = "127.0.0.1", port: int = 0) -> Settings:
    local = ip_address("127.0.0.1")
    listen = Listen(
        dns=Listener(ip_address(dns_address), port),
        proxy=Listener(local, 0),
        pages=PagesListener(ip_address("192.0.2.1"), None, 80, 443),
        console=Listener(local, 0),
    )
    return Settings(listen=listen, upstreams=(), state=Path("unused"))


def sinkhole(
    configured: Settings,
    metrics: Metrics,
    upstreams: Upstreams,
    *,
    compiled: Policy | None = None,
    events: RecordingEvents | None = None,
    reuse_port: bool = False,
) -> Sinkhole:
    current = compiled or three_segments()
    return Sinkhole(
        settings=configured,
        policy=lambda: current,
        events=events or RecordingEvents(),
        metrics=metrics,
        upstreams=upstreams,
        clock=lambda: datetime.now(UTC),  # noqa: TID251 - a test is its own composition root
        reuse_port=reuse_port,
    )


@asynccontextmanager
async def running(
    behaviour: Behaviour = ZONE,
    policy: Callable[[], Policy] = three_segments,
    *,
    patience: float = 2.0,
    dns_address: str = "127.0.0.1",
) -> AsyncIterator[Running]:
    registry, events = CollectorRegistry(), RecordingEvents()
    metrics = Metrics(registry)
    async with serving(behaviour) as upstream:
        upstreams = Upstreams((upstream.upstream(),), metrics=metrics, timeout=patience)
        it = sinkhole(settings(dns_address), metrics, upstreams, compiled=policy(), events=events)
        await it.start()
        try:
            yield Running(it, events.seen, registry, upstream)
        finally:
            await it.stop()
            await upstreams.close()


def run(scenario: Callable[[Running], Awaitable[None]], **more: Any) -> None:
    async def main() -> None:
        async with running(**more) as it:
            await scenario(it)

    asyncio.run(main())


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_a_blocked_name_is_sinkholed(transport: str) -> None:
    async def scenario(it: Running) -> None:
        assert await it.short(MILITARY, "chat.deepseek.com", "A", transport) == "192.0.2.1"
        for type_ in ("AAAA", "HTTPS", "TXT", "NS"):
            answer = await it.dig(MILITARY, "chat.deepseek.com", type_, transport)
            assert "status: NOERROR" in answer, type_
            assert "ANSWER: 0, AUTHORITY: 1" in answer, type_
        answer = await it.dig(MILITARY, "chat.deepseek.com", "A", "+edns", transport)
        assert "EDE: 15 (Blocked): (blocked by rule no-generative-ai, incident " in answer
        assert "EDE" not in await it.dig(MILITARY, "chat.deepseek.com", "A", "+noedns", transport)
        assert not it.upstream.asked
        assert {event.verdict for event in it.events} == {Verdict.SINKHOLED}
        assert {event.context.protocol for event in it.events} == {"tcp" if transport == "+tcp" else "udp"}

    run(scenario)


def test_other_names_are_forwarded_and_never_recorded() -> None:
    async def scenario(it: Running) -> None:
        assert await it.short(MILITARY, "www.example.test", "A") == "192.0.2.80"
        assert "status: NXDOMAIN" in await it.dig(MILITARY, "nowhere.example.test", "A")
        assert not it.events

    run(scenario)


def test_strangers_are_refused_whatever_they_ask() -> None:
    async def scenario(it: Running) -> None:
        for name in ("www.example.test", "chat.deepseek.com", "."):
            answer = await it.dig(STRANGER, name, "A", "+edns")
            assert "status: REFUSED" in answer
            assert "EDE: 18 (Prohibited)" in answer
        assert not it.upstream.asked
        assert len(it.events) == 3

    run(scenario)


def test_no_answer_leaks_between_segments() -> None:
    """Guards the memory of ready answers: one name, interleaved from a segment that may and two that may not."""

    async def scenario(it: Running) -> None:
        for _ in range(3):
            assert await it.short(HQ, "chat.deepseek.com", "A") == "192.0.2.66"
            assert await it.short(EXTERNAL, "chat.deepseek.com", "A") == "192.0.2.1"
            assert await it.short(MILITARY, "chat.deepseek.com", "A") == "192.0.2.1"
        together = await asyncio.gather(
            *(it.short(c, "chat.deepseek.com", "A") for c in (HQ, EXTERNAL, MILITARY) for _ in range(4))
        )
        assert together == ["192.0.2.66"] * 4 + ["192.0.2.1"] * 8
        assert {(e.outcome.segment, e.data_exposed) for e in it.events} == {
            ("hq-network", DataExposed.NAME_ONLY),
            ("external-facing", DataExposed.NONE),
            ("military-use", DataExposed.NONE),
        }

    run(scenario)


def test_an_alias_is_no_way_round() -> None:
    async def scenario(it: Running) -> None:
        assert await it.short(HQ, "innocent.example.test", "A") == "chat.deepseek.com.\n192.0.2.66"
        assert await it.short(MILITARY, "innocent.example.test", "A") == "192.0.2.1"
        blocked = it.events[-1]
        assert (str(blocked.request.name), blocked.data_exposed) == ("chat.deepseek.com", DataExposed.NAME_ONLY)

    run(scenario)


def test_a_large_answer_goes_over_tcp_on_both_sides() -> None:
    async def scenario(it: Running) -> None:
        assert " tc" in await it.dig(HQ, "large.example.test", "TXT", "+ignore")
        assert len((await it.short(HQ, "large.example.test", "TXT")).splitlines()) == 12
        assert {transport for _, transport, _ in it.upstream.asked} == {"udp", "stream"}

    run(scenario)


def test_a_dead_upstream_is_a_servfail_with_its_reason() -> None:
    async def scenario(it: Running) -> None:
        answer = await it.dig(HQ, "www.example.test", "A", "+edns")
        assert "status: SERVFAIL" in answer
        assert "EDE: 23 (Network Error): (no upstream resolver answered)" in answer
        assert await it.short(MILITARY, "chat.deepseek.com", "A") == "192.0.2.1"

    run(scenario, behaviour=silent, patience=0.3)


def test_answers_that_lie_are_not_taken() -> None:
    """The upstream's first datagrams carry a wrong id, another question and a query; the honest one comes last."""

    async def lying(wire: bytes, transport: str) -> list[bytes]:
        (honest,) = await ZONE(wire, transport)
        other = dns.message.make_response(dns.message.make_query("evil.example.test", "A", id=int.from_bytes(wire[:2])))
        return [bytes([wire[0] ^ 1]) + honest[1:], other.to_wire(), wire, b"", honest]

    async def scenario(it: Running) -> None:
        assert await it.short(HQ, "www.example.test", "A") == "192.0.2.80"

    run(scenario, behaviour=lying)


def test_a_slow_upstream_does_not_delay_others() -> None:
    async def scenario(it: Running) -> None:
        slow = asyncio.create_task(it.short(HQ, "www.example.test", "A"))
        await arrived.wait()
        assert await it.short(MILITARY, "chat.deepseek.com", "A") == "192.0.2.1"
        assert not slow.done()
        release.set()
        assert await slow == "192.0.2.80"

    arrived, release = asyncio.Event(), asyncio.Event()

    async def slowly(wire: bytes, transport: str) -> Any:
        arrived.set()
        await release.wait()
        return await ZONE(wire, transport)

    run(scenario, behaviour=slowly, patience=20.0)


def test_queries_in_flight_are_answered_before_the_end() -> None:
    async def scenario(it: Running) -> None:
        queries = [
            asyncio.create_task(it.short(HQ, "www.example.test", "A", transport)) for transport in ("+tcp", "+notcp")
        ]
        while len(it.upstream.asked) < 2:
            await arrived.wait()
            arrived.clear()
        stopping = asyncio.create_task(it.sinkhole.stop())
        release.set()
        assert await asyncio.gather(*queries) == ["192.0.2.80"] * 2
        await stopping

    arrived, release = asyncio.Event(), asyncio.Event()

    async def slowly(wire: bytes, transport: str) -> Any:
        arrived.set()
        await release.wait()
        return await ZONE(wire, transport)

    run(scenario, behaviour=slowly, patience=20.0)


def test_a_pipelined_connection_gets_answers_as_they_are_ready() -> None:
    async def scenario(it: Running) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.sinkhole.port, local_addr=(MILITARY, 0))
        for number, name in enumerate(("www.example.test", "chat.deepseek.com"), start=1):
            wire = dns.message.make_query(name, "A", id=number).to_wire()
            writer.write(len(wire).to_bytes(2) + wire)
        ids = []
        for _ in range(2):
            message = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
            ids.append(dns.message.from_wire(message).id)
            release.set()
        assert ids == [2, 1]
        writer.close()
        await writer.wait_closed()

    release = asyncio.Event()

    async def slowly(wire: bytes, transport: str) -> Any:
        await release.wait()
        return await ZONE(wire, transport)

    run(scenario, behaviour=slowly)


def test_queries_and_responses_add_up() -> None:
    async def scenario(it: Running) -> None:
        await it.short(HQ, "www.example.test", "A")
        await it.short(MILITARY, "chat.deepseek.com", "A", "+tcp")
        await it.short(STRANGER, "chat.deepseek.com", "TYPE65500")
        await it.dig(HQ, "version.bind", "CH", "TXT")
        assert it.total("sumun_dns_queries_total") == it.total("sumun_dns_responses_total") == 4
        assert it.total("sumun_dns_queries_total", segment="military-use", protocol="tcp", type="A") == 1
        assert it.total("sumun_dns_queries_total", segment="unknown", type="OTHER") == 1
        assert it.total("sumun_dns_responses_total", rcode="REFUSED", source="policy") == 1
        assert it.total("sumun_dns_responses_total", rcode="NOERROR", source="upstream") == 1
        assert it.total("sumun_dns_upstream_duration_seconds_count", upstream="fake", outcome="answered") == 1

    run(scenario)


def test_the_health_name_needs_no_policy_and_no_upstream() -> None:
    async def scenario(it: Running) -> None:
        assert await it.short(STRANGER, "health.sumun.invalid", "A") == "127.0.0.1"
        assert not it.events

    run(scenario, behaviour=silent)


def test_a_wildcard_listener_answers_from_the_address_that_was_asked() -> None:
    async def scenario(it: Running) -> None:
        command = ("dig", "-b", MILITARY, "-p", str(it.sinkhole.port), "@127.0.0.77", "+tries=1", "+time=3")
        process = await asyncio.create_subprocess_exec(
            *command, "chat.deepseek.com", "A", "+short", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert output.decode().strip() == "192.0.2.1"

    run(scenario, dns_address="0.0.0.0")
    run(scenario, dns_address="::")


def test_a_taken_port_is_said_with_its_remedy() -> None:
    async def scenario(it: Running) -> None:
        metrics = Metrics(CollectorRegistry())
        other = sinkhole(settings(port=it.sinkhole.port), metrics, Upstreams((), metrics=metrics))
        with pytest.raises(CannotListen, match=rf"`127.0.0.1` port {it.sinkhole.port} .*another program has it"):
            await other.start()

    run(scenario)


def test_an_ipv6_listener_serves_ipv6_clients() -> None:
    async def scenario(it: Running) -> None:
        command = ("dig", "-6", "-p", str(it.sinkhole.port), "@::1", "+tries=1", "+time=3", "+short")
        for transport in ("+tcp", "+notcp"):
            process = await asyncio.create_subprocess_exec(
                *command, transport, "chat.deepseek.com", "AAAA", stdout=asyncio.subprocess.PIPE
            )
            output, _ = await process.communicate()
            assert output.decode().strip() == "::"

    block = rule("no-deepseek", "block", services=["deepseek"])
    six = policy(segment("six", "::1/128", rules=[block], dns=DnsPolicy(answer=DnsAnswer.NULL)), services=[DEEPSEEK])
    run(scenario, policy=lambda: six, dns_address="::1")


def test_workers_share_one_port() -> None:
    async def main() -> None:
        metrics = Metrics(CollectorRegistry())
        async with serving(ZONE) as upstream:
            upstreams = Upstreams((upstream.upstream(),), metrics=metrics)
            first = sinkhole(settings(), metrics, upstreams, reuse_port=True)
            await first.start()
            second = sinkhole(settings(port=first.port), metrics, upstreams, reuse_port=True)
            await second.start()
            await first.stop()
            it = Running(second, [], CollectorRegistry(), upstream)
            assert await it.short(MILITARY, "chat.deepseek.com", "A") == "192.0.2.1"
            assert await it.short(MILITARY, "chat.deepseek.com", "A", "+tcp") == "192.0.2.1"
            await second.stop()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("compiled", "starts"),
    [
        pytest.param(policy(), False, id="no segment"),
        pytest.param(policy(segment("empty")), False, id="a segment without networks"),
        pytest.param(policy(segment("office", "10.0.0.0/8")), True, id="a segment"),
        pytest.param(policy(segment("empty"), unknown_clients="empty"), True, id="a segment for everybody"),
    ],
)
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_a_wildcard_that_serves_nobody_is_refused(compiled: Policy, starts: bool, address: str) -> None:
    async def main() -> None:
        metrics = Metrics(CollectorRegistry())
        it = sinkhole(settings(address), metrics, Upstreams((), metrics=metrics), compiled=compiled)
        with nullcontext() if starts else pytest.raises(CannotListen, match="define a segment"):
            await it.start()
        await it.stop()

    asyncio.run(main())
