"""Between the recorder, which must never wait, and a sink, which may."""

from __future__ import annotations

import errno
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Protocol

from sumun.telemetry.ecs import to_ecs
from sumun.telemetry.metrics import Metrics
from sumun.telemetry.record import Record

log = logging.getLogger(__name__)

_BATCH = 512
"""Records in one write: about 400 kB."""
_REASONS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EPIPE: "no_reader",
}


_to_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Sink(Protocol):
    """Where the decision log ends; called from one thread only."""

    name: str
    """Value of the metrics' ``sink`` label."""

    def write(self, lines: Sequence[bytes]) -> None:
        """Write lines that each end in a line feed; raises OSError, and nothing else."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


def encode(record: Record) -> bytes:
    """One line of JSON, UTF-8."""
    return _to_json(to_ecs(record)).encode("utf-8", "replace") + b"\n"


class Spool:
    """A bounded queue and the thread that empties it into a sink.

    INVARIANT: every record put in is, in the end, counted once: as written or as dropped.
    """

    def __init__(
        self,
        sink: Sink,
        metrics: Metrics,
        *,
        limit: int = 10_000,
        retry: float = 1.0,
        encode: Callable[[Record], bytes] = encode,
    ) -> None:
        """Start the thread. ``limit`` is in records; ``retry`` is how many seconds to wait after a failure."""
        self._sink, self._metrics, self._limit, self._retry, self._encode = sink, metrics, limit, retry, encode
        self._written = metrics.events.labels(sink.name)
        self._attempts = metrics.attempts_logged.labels(sink.name)
        self._queued = metrics.events_queued.labels(sink.name)
        self._queued.set(0)
        self._queue: deque[Record] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._failure: str | None = None
        # a daemon: a sink that hangs (a stalled disk, a full pipe) must not keep the process from ending
        self._thread = threading.Thread(target=self._work, name=f"sink-{sink.name}", daemon=True)
        self._thread.start()

    def put(self, records: Iterable[Record]) -> None:
        """Queue the records; what finds no room is dropped, the newest first, and counted."""
        with self._changed:
            for record in records:
                if self._closing or len(self._queue) >= self._limit:
                    self._drop([record], "closed" if self._closing else self._failure or "overflow")
                else:
                    self._queue.append(record)
            self._queued.set(len(self._queue))
            self._changed.notify()

    def close(self, timeout: float = 3.0) -> None:
        """Write what is queued, for at most so many seconds; the rest is dropped and counted."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)
        with self._changed:
            self._drop(list(self._queue), self._failure or "timeout")
            self._queue.clear()
            self._queued.set(0)

    def _work(self) -> None:
        while batch := self._next():
            last = self._closing  # an attempt that begins after ``close`` is the last
            lines = [self._line(record) for record in batch]
            try:
                self._sink.write([line for line in lines if line])
            except OSError as fault:
                self._wait(fault)
                if last:
                    break
            else:
                self._settle(lines)
        self._sink.close()

    def _next(self) -> list[Record]:
        """Wait for records; none means that the spool is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            return list(islice(self._queue, _BATCH))

    def _line(self, record: Record) -> bytes | None:
        try:
            return self._encode(record)
        except Exception:  # one record that cannot be said must not end the log
            log.exception("event `%s` cannot be written as JSON", record.id)
            return None

    def _settle(self, lines: list[bytes | None]) -> None:
        """Take a batch that was written from the queue, where it stayed so that ``close`` could still count it."""
        if self._failure:
            log.warning("decision log `%s`: writing again", self._sink.name)
        with self._changed:
            self._failure = None
            settled = [(self._queue.popleft(), line) for line in lines if self._queue]
            self._queued.set(len(self._queue))
            written = [record for record, line in settled if line]
            self._written.inc(len(written))
            self._attempts.inc(sum(record.count for record in written))
            self._drop([record for record, line in settled if not line], "encoding")

    def _wait(self, fault: OSError) -> None:
        """Wait before the next attempt, unless the spool closes."""
        if self._failure is None:
            text = "decision log `%s` cannot be written: %s; events wait, and are counted if they are lost"
            log.error(text, self._sink.name, fault.strerror or fault)
        with self._changed:
            self._failure = _REASONS.get(fault.errno or 0, "io")
            self._changed.wait_for(lambda: self._closing, self._retry)

    def _drop(self, records: list[Record], reason: str) -> None:
        if records:
            self._metrics.events_dropped.labels(self._sink.name, reason).inc(len(records))
            self._metrics.attempts_dropped.labels(self._sink.name, reason).inc(sum(r.count for r in records))
