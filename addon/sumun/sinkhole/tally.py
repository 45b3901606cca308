"""The counters of the sinkhole."""

from __future__ import annotations

import asyncio
from collections import Counter as Counts

from prometheus_client import Histogram

from sumun.sinkhole.outcome import Labels, Protocol, Source
from sumun.telemetry.metrics import Metrics


class Tally:
    """Counters are added up for one turn of the event loop, since each look into shared memory costs microseconds.

    INVARIANT: every query is counted once on either side, as a response or with rcode ``DROPPED``.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._queries: Counts[tuple[str, Protocol, str]] = Counts()
        self._responses: Counts[tuple[str, str, Source]] = Counts()
        self._durations = {source: metrics.dns_response_duration.labels(source.value) for source in Source}
        self.decision: Histogram = metrics.decision_duration.labels("dns")

    def query(self, labels: Labels, protocol: Protocol) -> None:
        """Count a query, whatever comes of it."""
        self._soon()
        self._queries[labels.segment, protocol, labels.type] += 1

    def response(self, segment: str, rcode: str, source: Source, seconds: float) -> None:
        """Count what was sent, and how long after the query was taken up."""
        self._soon()
        self._responses[segment, rcode, source] += 1
        self._durations[source].observe(seconds)

    def drop(self, segment: str) -> None:
        """Count a query that gets no answer."""
        self._soon()
        self._responses[segment, "DROPPED", Source.ERROR] += 1

    def flush(self) -> None:
        """Hand on what was added up."""
        for (segment, protocol, type_), count in self._queries.items():
            self._metrics.dns_queries.labels(segment, protocol, type_).inc(count)
        for (segment, rcode, source), count in self._responses.items():
            self._metrics.dns_responses.labels(segment, rcode, source.value).inc(count)
        self._queries.clear()
        self._responses.clear()

    def _soon(self) -> None:
        if not self._queries and not self._responses:
            asyncio.get_running_loop().call_soon(self.flush)

    def failure(self, segment: str, mode: str) -> None:
        """Count a verdict taken because the filter itself failed."""
        self._metrics.failure_decisions.labels("dns", segment, mode).inc()
