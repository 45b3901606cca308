from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.sinkhole.outcome import Answer
from sumun.sinkhole.tally import Tally
from sumun.telemetry.recorder import Recorder
from tests.support.builders import NOON, three_segments
from tests.unit.sinkhole.asking import ask, query, responder
from tests.unit.telemetry.fakes import Counted, FakeSink

CLIENTS = [ip_address(text).packed for text in ("127.0.0.3", "10.20.0.9", "2001:db8::7")]


class Bench:
    """A tally with a real recorder behind it."""

    def __init__(self) -> None:
        self.counted, self.sink = Counted(), FakeSink()
        self.recorder = Recorder(self.counted.metrics, [self.sink], clock=lambda: NOON, limit=8)
        self.tally = Tally(self.counted.metrics, self.recorder)

    def logged(self) -> int:
        return sum(document["sumun"]["count"] for document in self.sink.documents)


def run(scenario: Callable[[Bench], None]) -> Bench:
    async def main() -> Bench:
        bench = Bench()
        scenario(bench)
        bench.tally.hand_on_all()
        bench.recorder.close()
        return bench

    return asyncio.run(main())


def answer(name: str = "chat.deepseek.com", client: str = "127.0.0.3", **more: Any) -> Answer:
    response = ask(responder(three_segments()), query(name, **more), client)
    assert isinstance(response, Answer)
    return response


ANSWERS = [answer(), answer("api.deepseek.com"), answer("example.org", "192.0.2.9"), answer("health.sumun.invalid")]
ANSWERS.append(answer(use_edns=0))  # tells the id of its event
steps = st.lists(
    st.one_of(
        st.lists(st.tuples(st.sampled_from(CLIENTS), st.sampled_from(ANSWERS)), min_size=1, max_size=64),
        st.tuples(st.sampled_from(CLIENTS), st.sampled_from(ANSWERS), st.booleans()),
        st.just("drop"),
        st.just("hand on"),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_everything_adds_up(steps: list[object]) -> None:
    """INVARIANT: queries = responses + drops, and attempts = decisions counted = attempts logged."""
    asked = attempts = lost = 0

    def scenario(bench: Bench) -> None:
        nonlocal asked, attempts, lost
        for answered in ANSWERS:
            answered.kind = None  # counters of another bench
        for step in steps:
            if isinstance(step, list):
                unsent = [position for position in range(len(step)) if position % 7 == 3]
                bench.tally.batch([who for who, _ in step], [answered for _, answered in step], unsent, NOON, 0.001)
                asked, lost = asked + len(step), lost + len(unsent)
                attempts += sum(answered.attempt is not None for _, answered in step)
            elif isinstance(step, tuple):
                client, answered, sent = step
                bench.tally.query(answered.labels, "udp")
                bench.tally.attempt(client, answered, "udp", NOON)
                bench.tally.response(answered, "udp", sent=sent, seconds=0.01)
                asked, lost, attempts = asked + 1, lost + (not sent), attempts + (answered.attempt is not None)
            elif step == "drop":
                bench.tally.query(ANSWERS[0].labels, "udp")
                bench.tally.drop("military-use")
                asked, lost = asked + 1, lost + 1
            else:
                bench.tally.hand_on_all()

    bench = run(scenario)
    total = bench.counted.total
    assert total("sumun_dns_queries_total") == total("sumun_dns_responses_total") == asked
    assert total("sumun_dns_response_duration_seconds_count") <= asked
    assert bench.counted.series("sumun_dns_responses_total").get(("DROPPED", "military-use", "error"), 0) <= lost
    assert total("sumun_decisions_total") == bench.logged() == attempts


def test_a_flood_of_distinct_attempts_waits_and_is_not_lost() -> None:
    """The log gets a bounded number each time; the counters are prompt all the same."""

    async def main() -> None:
        bench = Bench()
        many = [number.to_bytes(4) for number in range(20_000)]
        ANSWERS[0].kind = None
        bench.tally.batch(many, [ANSWERS[0]] * len(many), [], NOON, 0.001)
        bench.tally._hand_on()
        assert bench.counted.total("sumun_decisions_total") == len(many)
        assert len(bench.tally._open) > len(many) // 2
        while bench.tally._open:
            bench.tally._hand_on()
        bench.recorder.close()
        assert bench.logged() == len(many)

    asyncio.run(main())


def test_a_quiet_sinkhole_counts_at_the_end_of_the_turn() -> None:
    async def main() -> None:
        bench = Bench()
        bench.tally.query(ANSWERS[0].labels, "udp")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert bench.counted.total("sumun_dns_queries_total") == 1
        bench.recorder.close()

    asyncio.run(main())
