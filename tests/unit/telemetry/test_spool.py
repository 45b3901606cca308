from __future__ import annotations

import errno
import logging

import pytest

from sumun.telemetry.record import Record
from sumun.telemetry.spool import Spool
from tests.unit.telemetry.fakes import Counted, FakeSink, attempt, record

FULL = OSError(errno.ENOSPC, "No space left on device")
ONE = record(attempt(), count=3)


def test_what_is_put_in_is_written_and_counted_by_events_and_by_attempts() -> None:
    counted, sink = Counted(), FakeSink()
    spool = Spool(sink, counted.metrics)
    spool.put([ONE, ONE])
    spool.close()
    assert [document["sumun"]["count"] for document in sink.documents] == [3, 3]
    assert counted.series("sumun_events_total") == {("fake",): 2}
    assert counted.series("sumun_attempts_logged_total") == {("fake",): 6}
    assert counted.series("sumun_events_queued") == {("fake",): 0}
    assert sink.closed


def test_a_failing_sink_is_tried_again_and_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    counted, sink = Counted(), FakeSink(FULL)
    spool = Spool(sink, counted.metrics, retry=0.01)
    with caplog.at_level(logging.WARNING):
        spool.put([ONE])
        assert sink.attempts.acquire(timeout=60)
        assert sink.attempts.acquire(timeout=60)
        assert counted.series("sumun_events_queued") == {("fake",): 1}
        sink.fault = None
        spool.close()
    assert len(sink.lines) == 1
    assert counted.total("sumun_events_dropped_total") == 0
    assert [entry.levelname for entry in caplog.records] == ["ERROR", "WARNING"], "one line a change, not one a try"


def test_closing_tries_once_more_and_then_says_why_events_were_lost() -> None:
    counted, sink = Counted(), FakeSink(FULL)
    spool = Spool(sink, counted.metrics, retry=60)
    spool.put([ONE])
    assert sink.attempts.acquire(timeout=60)
    spool.close()
    assert sink.attempts.acquire(blocking=False)
    assert counted.series("sumun_events_dropped_total") == {("disk_full", "fake"): 1}
    assert counted.series("sumun_attempts_dropped_total") == {("disk_full", "fake"): 3}


def test_a_full_queue_drops_the_newest_without_waiting() -> None:
    counted, sink = Counted(), FakeSink()
    sink.free.clear()
    spool = Spool(sink, counted.metrics, limit=2)
    spool.put([record(attempt(), id=name) for name in ("first", "second", "third")])
    assert counted.series("sumun_events_dropped_total") == {("overflow", "fake"): 1}
    sink.free.set()
    spool.close()
    assert [document["event"]["id"] for document in sink.documents] == ["first", "second"]


def test_a_sink_that_hangs_does_not_hold_up_the_end_and_nothing_is_counted_twice() -> None:
    counted, sink = Counted(), FakeSink()
    sink.free.clear()
    spool = Spool(sink, counted.metrics)
    spool.put([ONE])
    assert sink.attempts.acquire(timeout=60)
    spool.close(timeout=0.01)
    assert counted.series("sumun_events_dropped_total") == {("timeout", "fake"): 1}
    sink.free.set()
    spool.close()
    assert counted.total("sumun_events_total") == 0


def test_what_comes_after_the_end_is_counted() -> None:
    counted, sink = Counted(), FakeSink()
    spool = Spool(sink, counted.metrics)
    spool.close()
    spool.put([ONE])
    assert counted.series("sumun_attempts_dropped_total") == {("closed", "fake"): 3}


def test_a_record_that_cannot_be_said_is_dropped_alone(caplog: pytest.LogCaptureFixture) -> None:
    def encode(one: Record) -> bytes:
        if one.id == "bad":
            raise ValueError(one.id)
        return b"line\n"

    counted, sink = Counted(), FakeSink()
    spool = Spool(sink, counted.metrics, encode=encode)
    spool.put([ONE, record(attempt(), id="bad"), ONE])
    spool.close()
    assert sink.lines == [b"line\n", b"line\n"]
    assert counted.series("sumun_events_dropped_total") == {("encoding", "fake"): 1}
    assert "`bad`" in caplog.text
