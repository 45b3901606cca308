from __future__ import annotations

import asyncio
import errno
import pickle
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.event import AccessDecided, Context, Events
from sumun.model.rule import Mode
from sumun.model.verdict import Verdict
from sumun.telemetry.recorder import Recorder
from tests.support.builders import DEEPSEEK, NOON, policy, rule, segment
from tests.unit.telemetry.fakes import DNS, Counted, FakeSink, attempt, seconds
from tests.unit.telemetry.test_ecs import NEEDS_CONTENT

LABELS = ("action", "mode", "point", "segment", "service")
SHADOWS = policy(
    segment(
        "office", "10.0.0.0/8",
        rules=[rule("trial", "block", services=["deepseek"], mode=Mode.SHADOW),
               rule("watch", "monitor", services=["deepseek"])],
    ),
    services=[DEEPSEEK],
)  # fmt: skip


class Recording:
    """A recorder, the fake sink behind it and its metrics."""

    def __init__(self, **more: int) -> None:
        self.counted, self.sink = Counted(), FakeSink()
        self.now = NOON
        self.recorder = Recorder(self.counted.metrics, [self.sink], clock=lambda: self.now, **more)

    def by_labels(self) -> Counter[tuple[str, ...]]:
        """What the log adds up to, by the labels of the metric."""
        sums: Counter[tuple[str, ...]] = Counter()
        for document in self.sink.documents:
            sums[tuple(document["sumun"][label] for label in LABELS)] += document["sumun"]["count"]
        return sums


def test_it_is_the_port_that_enforcement_points_know() -> None:
    recording = Recording()
    events: Events = recording.recorder
    assert events.record(attempt())
    recording.recorder.close()


def test_repeats_within_a_second_are_one_event_whose_id_each_of_them_gets() -> None:
    recording = Recording()
    ids = {recording.recorder.record(attempt(at=NOON + seconds(part / 10))) for part in range(10)}
    later = recording.recorder.record(attempt(at=NOON + seconds(1)))
    recording.recorder.close()
    documents = recording.sink.documents
    assert [document["event"]["id"] for document in documents] == [*ids, later]
    assert [document["sumun"]["count"] for document in documents] == [10, 1]
    assert documents[0]["sumun"]["last_seen"] == "2026-01-05T12:00:00.900Z"
    assert recording.counted.total("sumun_decisions_total") == 11


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(attempt("127.0.0.2"), id="client"),
        pytest.param(attempt(name="api.deepseek.com"), id="name"),
        pytest.param(attempt(context=Context(dns_type="AAAA", protocol="udp")), id="query type"),
        pytest.param(attempt(method="GET"), id="method"),
        pytest.param(attempt(port=443), id="port"),
        pytest.param(attempt(verdict=Verdict.CLOSED), id="verdict"),
        pytest.param(attempt("127.0.0.3", policy=NEEDS_CONTENT), id="policy"),
    ],
)
def test_attempts_that_differ_are_two_events(other: AccessDecided) -> None:
    recording = Recording()
    assert recording.recorder.record(attempt()) != recording.recorder.record(other)
    assert recording.recorder.record(attempt()) == recording.recorder.record(attempt(path="/another")), "control"
    recording.recorder.close()


def test_a_shadow_rule_has_an_event_and_a_count_of_its_own() -> None:
    recording = Recording()
    told = {recording.recorder.record(attempt("10.0.0.7", policy=SHADOWS, verdict=Verdict.FORWARDED)) for _ in range(3)}
    recording.recorder.close()
    enforced, shadow = recording.sink.documents
    assert told == {enforced["event"]["id"]}
    assert (enforced["rule"]["id"], shadow["rule"]["id"]) == ("watch", "trial")
    assert (enforced["sumun"]["count"], shadow["sumun"]["count"]) == (3, 3)
    assert enforced["event"]["id"] != shadow["event"]["id"]
    assert recording.counted.series("sumun_decisions_total") == {
        ("monitor", "enforce", "dns", "office", "deepseek"): 3,
        ("block", "shadow", "dns", "office", "deepseek"): 3,
    }


def test_undetermined_and_unknown_have_labels_too() -> None:
    recording = Recording()
    recording.recorder.record(attempt("10.0.0.7", policy=NEEDS_CONTENT))
    recording.recorder.record(attempt("192.0.2.1", "example.org"))
    recording.recorder.close()
    assert set(recording.counted.series("sumun_decisions_total")) == {
        ("undetermined", "enforce", "dns", "office", "deepseek"),
        ("block", "enforce", "dns", "unknown", "none"),
    }


def test_bypass_attempts_are_counted_with_a_bounded_label() -> None:
    recording = Recording()
    recording.recorder.record(attempt(context=Context(bypass="host_mismatch")))
    recording.recorder.record(attempt(context=Context(bypass="X" * 100)))
    recording.recorder.close()
    assert recording.counted.series("sumun_bypass_attempts_total") == {
        ("military-use", "host_mismatch"): 1,
        ("military-use", "other"): 1,
    }


def test_what_a_client_sends_is_cut_before_it_waits_in_memory() -> None:
    recording = Recording()
    long = attempt(context=Context(user_agent="x" * 60_000), method="Y" * 60_000, path="/" + "z" * 60_000, model="m")
    recording.recorder.record(long)
    held = pickle.dumps([(key, opened.event.request, opened.event.context) for key, opened in
                         recording.recorder._open.items()])  # fmt: skip
    assert len(held) < 5_000
    assert b"zzz" not in held
    recording.recorder.close()
    (document,) = recording.sink.documents
    assert document["user_agent"]["original"] == "x" * 255 + "…"


def test_the_timer_writes_what_is_a_second_old_and_nothing_younger() -> None:
    async def scenario() -> list[int]:
        running = asyncio.create_task(recording.recorder.run())
        recording.recorder.record(attempt())
        recording.recorder.record(attempt(name="young.deepseek.com", at=NOON + seconds(0.9)))
        recording.now = NOON + seconds(1)
        await asyncio.to_thread(recording.sink.attempts.acquire, timeout=60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return [document["sumun"]["count"] for document in recording.sink.documents]

    recording = Recording()
    assert asyncio.run(scenario()) == [1]
    recording.recorder.close()
    assert len(recording.sink.lines) == 2


def test_a_clock_set_back_holds_nothing_open() -> None:
    recording = Recording()
    recording.recorder.record(attempt())
    recording.recorder.flush(NOON - timedelta(hours=1))
    assert recording.sink.attempts.acquire(timeout=60)
    recording.recorder.close()
    assert len(recording.sink.lines) == 1


def test_a_flood_of_distinct_names_is_bounded_and_counted() -> None:
    recording = Recording(limit=8)
    for number in range(100):
        recording.recorder.record(attempt(name=f"n{number}.deepseek.com"))
        assert len(recording.recorder._open) <= 8
    recording.recorder.close()
    assert len({document["event"]["id"] for document in recording.sink.documents}) == 100


def test_after_the_end_attempts_still_count_as_dropped() -> None:
    recording = Recording()
    recording.recorder.close()
    assert recording.recorder.record(attempt())
    assert recording.counted.total("sumun_decisions_total") == 1
    assert recording.counted.series("sumun_attempts_dropped_total") == {("closed", "fake"): 1}


def test_threads_lose_no_count() -> None:
    recording = Recording()

    def many() -> None:
        for number in range(500):
            recording.recorder.record(attempt(name=f"n{number % 7}.deepseek.com", at=NOON + seconds(number / 100)))

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recording.recorder.close()
    assert sum(recording.by_labels().values()) == recording.counted.total("sumun_decisions_total") == 2000


CLIENTS = ["127.0.0.2", "127.0.0.3", "10.0.0.7", "192.0.2.1"]
attempts = st.builds(
    lambda client, name, offset, shadowed, bypass: attempt(
        client, name, at=NOON + seconds(offset), policy=SHADOWS if shadowed else None,
        context=Context(bypass="ech") if bypass else DNS,
    ),
    st.sampled_from(CLIENTS), st.sampled_from(["deepseek.com", "chatgpt.com", "a.deepseek.com"]),
    st.floats(0, 5), st.booleans(), st.booleans(),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(attempts, st.floats(0, 6)), max_size=40), st.booleans())
def test_the_log_adds_up_to_the_metric(steps: Sequence[AccessDecided | float], fails: bool) -> None:
    """INVARIANT: written plus dropped is what was counted, label by label."""
    recording = Recording(limit=3)
    recording.sink.fault = OSError(errno.EIO, "Input/output error") if fails else None
    for step in steps:
        if isinstance(step, AccessDecided):
            recording.recorder.record(step)
        else:
            recording.recorder.flush(_instant(step))
    recording.recorder.close()
    counted = recording.counted
    decisions = counted.series("sumun_decisions_total")
    assert fails or dict(recording.by_labels()) == decisions
    written, dropped = (counted.total(f"sumun_attempts_{what}_total") for what in ("logged", "dropped"))
    assert written + dropped == sum(decisions.values())
    assert fails == (dropped > 0) or not decisions


def _instant(offset: float) -> datetime:
    return NOON + seconds(offset)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(attempts, st.integers(1, 1000), st.booleans()), max_size=30))
def test_attempts_counted_in_bulk_add_up_too(steps: Sequence[tuple[AccessDecided, int, bool]]) -> None:
    """INVARIANT: whoever counts first and logs later changes no sum, label by label."""
    recording = Recording(limit=3)
    for event, times, bulk in steps:
        if bulk:
            recording.recorder.counting(event)(times)
            recording.recorder.log([(event, times, event.at + seconds(3))])
        else:
            recording.recorder.record(event)
    recording.recorder.close()
    assert dict(recording.by_labels()) == recording.counted.series("sumun_decisions_total")
    assert sum(recording.by_labels().values()) >= sum(times if bulk else 1 for _, times, bulk in steps)


def test_one_counter_serves_all_attempts_that_count_alike() -> None:
    recording = Recording()
    counting = recording.recorder.counting
    assert counting(attempt()) is counting(attempt(name="api.deepseek.com"))
    assert counting(attempt()) is not counting(attempt(context=Context(bypass="ech")))
    recording.recorder.close()
