"""The cache in its place: behind the policy, in front of the upstreams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from ipaddress import ip_address

import dns.edns
import dns.message
import dns.rcode
import pytest
from prometheus_client import CollectorRegistry

from sumun.policy.engine import Policy
from sumun.sinkhole import recall
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.tally import Tally
from sumun.telemetry.metrics import Metrics
from sumun.upstream.errors import UpstreamError
from tests.support.builders import DEEPSEEK, NOON, policy, rule, segment, three_segments
from tests.support.dns_servers import zone
from tests.support.recording import RecordingEvents
from tests.unit.sinkhole.asking import PAGES, addresses, errors, query

ZONE = zone([
    "www.example.test. 100 IN A 192.0.2.80",
    "chat.deepseek.com. 300 IN A 192.0.2.66",
    "alias.example.test. 300 IN CNAME chat.deepseek.com.",
])  # fmt: skip
OPEN = policy(segment("office", "10.0.0.0/8"), services=[DEEPSEEK], revision="open")
SHUT = policy(
    segment("office", "10.0.0.0/8", rules=[rule("no-deepseek", "block", services=["deepseek"])]),
    services=[DEEPSEEK], revision="shut",
)  # fmt: skip


class Bench:
    """A handler with a clock that is set, and an upstream that counts and may fail or wait."""

    def __init__(self, compiled: Policy = OPEN) -> None:
        self.now, self.policy, self.asked, self.fault = NOON, compiled, 0, False
        self.let = asyncio.Event()
        self.let.set()
        self.events, self.registry = RecordingEvents(), CollectorRegistry()
        self.answers: list[bytes] = []
        self.handler = Handler(
            responder=Responder(policy=lambda: self.policy, pages=PAGES),
            upstream=self,
            tally=Tally(Metrics(self.registry), self.events),
            clock=lambda: self.now,
        )

    async def ask(self, query: bytes) -> bytes:
        self.asked += 1
        await self.let.wait()
        if self.fault:
            raise UpstreamError("nobody is there")
        (reply,) = await ZONE(query, "udp")
        return reply

    def put(self, wire: bytes, client: str = "10.0.0.1") -> None:
        self.handler.handle(wire, ip_address(client), "udp", self.answers.append)

    async def dig(self, name: str, type_: str = "A", client: str = "10.0.0.1", **more: object) -> dns.message.Message:
        self.put(query(name, type_, **more), client)
        await asyncio.gather(*self.handler._tasks)
        return dns.message.from_wire(self.answers[-1])

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def sources(self) -> dict[str, float]:
        self.handler.settle()
        samples = [s for m in self.registry.collect() for s in m.samples if s.name == "sumun_dns_responses_total"]
        return {s.labels["source"]: s.value for s in samples}


def run(scenario: Callable[[Bench], Awaitable[None]], compiled: Policy = OPEN) -> None:
    async def main() -> None:
        bench = Bench(compiled)
        await scenario(bench)
        await bench.handler.drain(1)
        total = sum(bench.sources().values())
        assert total == len(bench.answers)

    asyncio.run(main())


@pytest.mark.parametrize("edns", [None, 0], ids=["plain", "edns"])
def test_what_is_known_is_not_asked_again(edns: int | None) -> None:
    async def scenario(it: Bench) -> None:
        for seconds, ttl in [(0, 100), (0, 100), (0.5, 100), (1, 99), (30, 69), (0.4, 69)]:
            it.later(seconds)
            answer = await it.dig("www.example.test", use_edns=edns)
            assert addresses(answer) == ["192.0.2.80"]
            assert answer.answer[0].ttl in (ttl, ttl + 1), (seconds, ttl)
        assert it.asked == 1
        assert it.sources() == {"upstream": 1, "cache": 5}
        await it.dig("www.example.test", "AAAA", use_edns=edns)
        assert it.asked == 2

    run(scenario)


@pytest.mark.parametrize("name", ["chat.deepseek.com", "alias.example.test"])
def test_query_block_query_is_blocked_at_once(name: str) -> None:
    """Guards rule 2: the cache and the ready answers know nothing that outlives a policy."""

    async def scenario(it: Bench) -> None:
        for _ in range(3):
            assert "192.0.2.66" in addresses(await it.dig(name))
        it.policy = SHUT
        assert addresses(await it.dig(name)) == ["192.0.2.1"]
        it.policy = OPEN
        assert "192.0.2.66" in addresses(await it.dig(name))
        assert it.asked == 1

    run(scenario)


def test_the_answer_of_one_segment_is_no_answer_for_another() -> None:
    async def scenario(it: Bench) -> None:
        for _ in range(3):
            assert addresses(await it.dig("alias.example.test", client="10.30.0.1"))[-1] == "192.0.2.66"
            assert addresses(await it.dig("alias.example.test", client="10.20.0.1")) == ["192.0.2.1"]
        assert it.asked == 1

    run(scenario, three_segments())


def test_segments_of_different_upstreams_share_no_answer() -> None:
    """What one upstream says of an internal name is nothing to those who ask another; equal ones share a cache."""
    labs = [segment("lab", "10.20.0.0/16"), segment("annex", "10.30.0.0/16")]
    compiled = policy(segment("office", "10.0.0.0/8"), *labs)

    class Internal:
        asked = 0

        async def ask(self, query: bytes) -> bytes:
            self.asked += 1
            (reply,) = await zone(["www.example.test. 100 IN A 192.0.2.99"])(query, "udp")
            return reply

    async def main() -> None:
        bench, internal = Bench(compiled), Internal()
        bench.handler = Handler(
            responder=Responder(policy=lambda: compiled, pages=PAGES),
            upstream=bench,
            by_segment={"lab": internal, "annex": internal},
            tally=Tally(Metrics(CollectorRegistry()), bench.events),
            clock=lambda: NOON,
        )
        for _ in range(3):
            for client, expected in (("10.0.0.1", "80"), ("10.20.0.1", "99"), ("10.30.0.1", "99")):
                found = addresses(await bench.dig("www.example.test", client=client))
                assert found == [f"192.0.2.{expected}"]
        assert (bench.asked, internal.asked) == (1, 1)
        await bench.handler.drain(1)

    asyncio.run(main())


def test_an_exemption_that_ends_ends_for_what_is_known_too() -> None:
    until = NOON + timedelta(seconds=20)
    rules = [
        rule("for now", "allow", services=["deepseek"], schedule=schedule_until(until)),
        rule("no-deepseek", "block", services=["deepseek"]),
    ]
    timed = policy(segment("office", "10.0.0.0/8", rules=rules), services=[DEEPSEEK])

    async def scenario(it: Bench) -> None:
        for seconds in (0, 5, 5, 9.5):
            it.later(seconds)
            answer = await it.dig("chat.deepseek.com")
            assert addresses(answer) == ["192.0.2.66"]
            assert answer.answer[0].ttl <= (until - it.now).total_seconds() + 1
        it.later(0.5)
        assert addresses(await it.dig("chat.deepseek.com")) == ["192.0.2.1"]

    run(scenario, timed)


async def some_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def schedule_until(until: datetime) -> object:
    from sumun.model.schedule import Schedule

    return Schedule(until=until)


def test_questions_in_flight_are_asked_once() -> None:
    async def scenario(it: Bench) -> None:
        it.let.clear()
        for number in range(20):
            it.put(query("www.example.test", id=number))
        it.put(query("WWW.Example.test", id=77))
        await some_turns()
        assert it.asked == 1
        it.let.set()
        await asyncio.gather(*it.handler._tasks)
        replies = [dns.message.from_wire(answer) for answer in it.answers]
        assert [reply.id for reply in replies] == [*range(20), 77]
        assert replies[-1].question[0].name.to_text() == "WWW.Example.test."
        assert it.asked == 1

    run(scenario)


def test_nobody_answers_so_the_old_answer_is_given_and_said_to_be_old() -> None:
    async def scenario(it: Bench) -> None:
        await it.dig("www.example.test", use_edns=0)
        it.later(5000)
        it.fault = True
        answer = await it.dig("www.example.test", use_edns=0)
        assert addresses(answer) == ["192.0.2.80"]
        assert answer.answer[0].ttl == 30
        assert errors(answer) == [(3, "")]
        it.fault = False
        it.later(2)
        answer = await it.dig("www.example.test", use_edns=0)
        assert (answer.answer[0].ttl, errors(answer)) == (100, [])

    run(scenario)


def test_the_policy_speaks_of_old_answers_too() -> None:
    async def scenario(it: Bench) -> None:
        await it.dig("alias.example.test")
        it.later(5000)
        it.policy, it.fault = SHUT, True
        assert addresses(await it.dig("alias.example.test")) == ["192.0.2.1"]

    run(scenario)


def test_who_waits_too_long_gets_the_old_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "_STALE_AFTER", 0.01)

    async def scenario(it: Bench) -> None:
        await it.dig("www.example.test")
        it.later(5000)
        it.let.clear()
        assert (await it.dig("www.example.test")).answer[0].ttl == 30
        it.let.set()  # what came too late for this client is there for the next
        await asyncio.gather(*it.handler._recall._asked.values())
        assert (await it.dig("www.example.test")).answer[0].ttl == 100
        assert it.asked == 2

    run(scenario)


def test_failures_are_remembered_for_a_moment() -> None:
    async def scenario(it: Bench) -> None:
        it.fault = True
        for _ in range(5):
            assert (await it.dig("www.example.test")).rcode() == dns.rcode.SERVFAIL
        assert it.asked == 1
        it.fault = False
        it.later(1)
        assert (await it.dig("www.example.test")).rcode() == dns.rcode.NOERROR

    run(scenario)


def test_what_is_in_demand_is_asked_for_before_its_time_is_over() -> None:
    async def scenario(it: Bench) -> None:
        await it.dig("www.example.test")
        it.later(80)
        await it.dig("www.example.test")
        assert it.asked == 1
        it.later(15)
        assert (await it.dig("www.example.test")).answer[0].ttl == 5
        await asyncio.gather(*it.handler._recall._asked.values())
        assert it.asked == 2
        it.later(1)
        assert (await it.dig("www.example.test")).answer[0].ttl in (99, 100)

    run(scenario)


def test_attempts_answered_from_the_cache_are_all_recorded() -> None:
    async def scenario(it: Bench) -> None:
        for _ in range(7):
            await it.dig("chat.deepseek.com")
        it.handler.settle()
        assert len(it.events.seen) == it.events.counted == 7

    run(scenario)
