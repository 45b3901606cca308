"""Every metric of Sumun, named in one place.

Labels are bounded by the configuration: segments, services and rules are, clients and names are not; those belong
in the decision log. Docs: docs/reference/metrics.md.
"""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, Metric, disable_created_metrics

_FAST = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1)
"""Seconds: our own work, from a table look-up to a page."""
_NETWORK = (0.0005, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
"""Seconds: somebody else answers."""


class Metrics:
    """The counters and histograms that serving processes write; the console adds gauges of its own."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        # a `_created` series beside each counter doubles what is scraped and says little
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library types this one function not at all

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sumun_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"sumun_{name}", text, labels, buckets=buckets, registry=registry)

        self.decisions = counter(
            "decisions_total",
            "Attempts logged, by what the policy said",
            "point",
            "segment",
            "service",
            "action",
            "mode",
        )
        self.decision_duration = histogram("decision_duration_seconds", "Time to decide", _FAST, "point")
        self.dns_queries = counter("dns_queries_total", "Queries received", "segment", "protocol", "type")
        self.dns_responses = counter("dns_responses_total", "Responses sent", "segment", "rcode", "source")
        self.dns_response_duration = histogram("dns_response_duration_seconds", "Query to response", _NETWORK, "source")
        self.dns_one_client = Gauge(
            "sumun_dns_one_client_ratio",
            "Part of a segment's queries within the hour that came from one address",
            ["segment"],
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.doh_refused = counter(
            "dns_https_refused_total", "Requests of DNS over HTTPS that brought no query", "status"
        )
        self.dns_upstream_duration = histogram(
            "dns_upstream_duration_seconds", "Question to an upstream until its answer", _NETWORK, "upstream", "outcome"
        )
        self.dns_upstream_hedged = counter(
            "dns_upstream_hedged_total", "Questions put to a second upstream since this one was slow", "upstream"
        )
        self.dns_upstream_mismatched = counter(
            "dns_upstream_mismatched_total", "Answers that are none to what was asked, dropped", "upstream"
        )
        self.proxy_connections = counter(
            "proxy_connections_total", "Client connections, by what became of them", "segment", "outcome"
        )
        self.proxy_requests = counter("proxy_requests_total", "Requests seen by the http point", "segment", "action")
        self.proxy_upstream_failures = counter(
            "proxy_upstream_failures_total", "Decrypted and plain requests that no origin answered", "segment", "reason"
        )
        self.proxy_limited = counter("proxy_limited_total", "Connections closed for the sake of others", "limit")
        self.content_matches = counter("content_matches_total", "Detector matches", "segment", "detector", "action")
        self.bypass_attempts = counter(
            "bypass_attempts_total", "Attempts to get round the filter", "segment", "technique"
        )
        self.authentications = counter(
            "authentications_total", "What came of asking who a user is", "segment", "outcome"
        )
        self.pinned = counter(
            "pinned_connections_total", "Connections of clients that refuse our certificate", "segment", "outcome"
        )
        self.llm_apis_discovered = counter(
            "llm_apis_discovered_total", "Requests shaped like those to an LLM API, to hosts nobody knows", "segment"
        )
        self.events = counter("events_total", "Events written", "sink")
        self.events_dropped = counter("events_dropped_total", "Events lost", "sink", "reason")
        self.attempts_logged = counter("attempts_logged_total", "Attempts in the events written", "sink")
        self.attempts_dropped = counter("attempts_dropped_total", "Attempts in the events lost", "sink", "reason")
        self.events_queued = Gauge(
            "sumun_events_queued",
            "Events waiting to be written",
            ["sink"],
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.grant_changes = counter(
            "grant_changes_total", "What became of grants and of requests for them", "kind", "change"
        )
        self.store_up = Gauge(
            "sumun_store_up",
            "1 if every process found the store when it looked last",
            ["kind"],
            registry=registry,
            multiprocess_mode="livemin",
        )
        self.failure_decisions = counter(
            "failure_decisions_total", "Verdicts taken because something failed", "point", "segment", "mode"
        )

        self.list_updates = counter("list_updates_total", "Attempts to update a subscribed list", "list", "outcome")

    def families(self) -> list[Metric]:
        """Name, type and help of every metric here, without values."""
        return [family for metric in vars(self).values() for family in metric.describe()]
