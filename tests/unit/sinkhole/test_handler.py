from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from ipaddress import ip_address

import dns.message
import dns.rcode
import pytest
from prometheus_client import CollectorRegistry

from sumun.model.event import AccessDecided
from sumun.model.name import IPAddress
from sumun.model.segment import FailMode
from sumun.policy.engine import Policy
from sumun.sinkhole import handler as module
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.tally import Tally
from sumun.telemetry.metrics import Metrics
from sumun.upstream.errors import UpstreamError
from tests.support.builders import NOON, policy, segment, three_segments
from tests.support.recording import RecordingEvents
from tests.unit.sinkhole.asking import PAGES, query


class Echoing:
    """An upstream that says NOERROR to everything, once it is let."""

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.let.set()
        self.asked = 0

    async def ask(self, query: bytes) -> bytes:
        self.asked += 1
        await self.let.wait()
        return query[:2] + b"\x81\x80" + query[4:]


class Failing:
    async def ask(self, query: bytes) -> bytes:
        raise UpstreamError("`udp://192.0.2.53`: timed out")


class Broken:
    """A policy that raises, as no policy should."""

    def __init__(self, sound: Policy, *, wholly: bool = False) -> None:
        self._sound, self._wholly = sound, wholly
        self.rules = sound.rules

    def segment_of(self, client: IPAddress) -> object:
        if self._wholly:
            raise RuntimeError("broken")
        return self._sound.segment_of(client)

    def decide(self, *_: object, **__: object) -> None:
        raise RuntimeError("broken")


class BrokenEvents:
    def record(self, event: AccessDecided) -> str:
        raise RuntimeError("disk full")


class Bench:
    """A handler with everything around it, and the answers it gave."""

    def __init__(self, policy: object, upstream: object = None, events: object = None) -> None:
        self.registry, self.answers = CollectorRegistry(), []
        self.events = events or RecordingEvents()
        it = Responder(policy=lambda: policy, pages=PAGES)  # type: ignore[arg-type, return-value]  # a fake that raises
        self.handler = Handler(
            responder=it,
            upstream=upstream or Echoing(),  # type: ignore[arg-type]  # one of the fakes above
            tally=Tally(Metrics(self.registry), self.events),
            clock=lambda: NOON,
        )
        self.answers: list[bytes | None]

    def ask(self, wire: bytes, client: str = "127.0.0.3") -> None:
        self.handler.handle(wire, ip_address(client), "udp", self.answers.append)

    def rcodes(self) -> list[dns.rcode.Rcode]:
        return [dns.message.from_wire(answer).rcode() for answer in self.answers if answer]

    def total(self, metric: str, **labels: str) -> float:
        samples = [s for m in self.registry.collect() for s in m.samples if s.name == metric]
        return sum(s.value for s in samples if labels.items() <= s.labels.items())


def run(make: Callable[[], Bench], scenario: Callable[[Bench], None]) -> Bench:
    async def main() -> Bench:
        bench = make()
        scenario(bench)
        await bench.handler.drain(5)
        return bench

    return asyncio.run(main())


def ask_each(*queries: tuple[bytes, str]) -> Callable[[Bench], None]:
    return lambda bench: [bench.ask(*each) for each in queries] and None


def test_queries_equal_responses_and_drops() -> None:
    bench = run(
        lambda: Bench(three_segments()),
        ask_each(
            (query("chat.deepseek.com"), "127.0.0.3"),
            (query("chat.deepseek.com"), "127.0.0.3"),
            (query("www.example.org"), "127.0.0.3"),
            (query("chat.deepseek.com"), "192.0.2.9"),
            (b"junk", "127.0.0.3"),
            (query("www.example.org")[:-1], "127.0.0.3"),
        ),
    )
    assert bench.total("sumun_dns_queries_total") == bench.total("sumun_dns_responses_total") == 6
    assert bench.total("sumun_dns_responses_total", rcode="DROPPED", source="error") == 1
    assert bench.total("sumun_dns_responses_total", source="upstream") == 1
    assert bench.total("sumun_dns_response_duration_seconds_count") == 5
    assert bench.total("sumun_decision_duration_seconds_count", point="dns") == 5  # the repeat was not decided anew
    assert len(bench.answers) == 6
    assert isinstance(bench.events, RecordingEvents)
    assert len(bench.events.seen) == 3


def test_an_attempt_is_recorded_when_nobody_answered(caplog: pytest.LogCaptureFixture) -> None:
    twice = ask_each((query("chatgpt.com"), "127.0.0.1"), (query("www.example.org", use_edns=0), "127.0.0.1"))
    bench = run(lambda: Bench(three_segments(), Failing()), twice)
    assert bench.rcodes() == [dns.rcode.SERVFAIL] * 2
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == ["`udp://192.0.2.53`: timed out"]
    assert not any(b"192.0.2.53" in answer for answer in bench.answers if answer)
    assert isinstance(bench.events, RecordingEvents)
    assert len(bench.events.seen) == 1


@pytest.mark.parametrize(
    ("mode", "rcode", "label"),
    [(FailMode.CLOSED, dns.rcode.SERVFAIL, "closed"), (FailMode.OPEN, dns.rcode.NOERROR, "open")],
)
def test_our_own_failure_ends_as_the_segment_says(
    mode: FailMode, rcode: dns.rcode.Rcode, label: str, caplog: pytest.LogCaptureFixture
) -> None:
    sound = policy(segment("office", "127.0.0.0/8", on_failure=mode))
    many = [(query("www.example.org", id=n), "127.0.0.3") for n in range(20)]
    with caplog.at_level(logging.ERROR):
        bench = run(lambda: Bench(Broken(sound)), ask_each(*many))
    assert bench.rcodes() == [rcode] * 20
    assert bench.total("sumun_failure_decisions_total", point="dns", segment="office", mode=label) == 20
    assert len(caplog.records) == 1  # the log is not flooded


def test_a_wholly_broken_policy_is_a_servfail() -> None:
    bench = run(
        lambda: Bench(Broken(three_segments(), wholly=True)),
        ask_each((query("www.example.org", id=5), "127.0.0.3"), (b"junk", "127.0.0.3")),
    )
    assert bench.rcodes() == [dns.rcode.SERVFAIL]
    assert bench.answers[1] is None
    assert bench.total("sumun_failure_decisions_total", mode="closed") == 2


def test_a_log_that_fails_does_not_stop_answers() -> None:
    bench = run(
        lambda: Bench(three_segments(), events=BrokenEvents()), ask_each((query("chat.deepseek.com"), "127.0.0.3"))
    )
    assert bench.rcodes() == [dns.rcode.NOERROR]


def test_one_client_cannot_take_all_room() -> None:
    limit = module._MAX_PER_CLIENT

    async def main() -> None:
        upstream = Echoing()
        upstream.let.clear()
        bench = Bench(three_segments(), upstream)
        for number in range(limit + 3):
            bench.ask(query(f"www{number}.example.org"), "127.0.0.3")
        assert bench.rcodes() == [dns.rcode.SERVFAIL] * 3
        bench.ask(query("other.example.org"), "127.0.0.2")
        upstream.let.set()
        await bench.handler.drain(5)
        assert upstream.asked == limit + 1
        assert len(bench.answers) == limit + 4
        bench.ask(query("www.example.org"), "127.0.0.3")
        await bench.handler.drain(5)
        assert bench.rcodes()[-1] == dns.rcode.NOERROR

    asyncio.run(main())


def test_what_is_still_open_at_the_end_is_answered() -> None:
    async def main() -> None:
        upstream = Echoing()
        upstream.let.clear()
        bench = Bench(three_segments(), upstream)
        bench.ask(query("www.example.org"))
        await bench.handler.drain(0.05)
        assert bench.rcodes() == [dns.rcode.SERVFAIL]
        assert bench.total("sumun_dns_responses_total") == 1

    asyncio.run(main())
