"""What a scrape adds to the counters of the serving processes: the state of policy, lists and certificates."""

from __future__ import annotations

import platform
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.registry import Collector

from sumun import __version__
from sumun.console.view import LoadedView

type Series = Iterable[tuple[Mapping[str, str], float]]
"""Labels and value of each series of a metric."""

GLOBAL = "*"
"""Segment label of a rule that stands before every segment's own."""


class ConsoleCollector(Collector):
    """Reads the current view at each scrape, so that nothing here can be stale."""

    def __init__(self, loaded: Callable[[], LoadedView], ca_certificate: Path) -> None:
        self._loaded, self._ca_certificate = loaded, ca_certificate

    def collect(self) -> Iterator[Metric]:
        """The gauges documented in docs/reference/metrics.md."""
        yield _gauge(
            "build_info",
            "Version of Sumun and of Python",
            [({"version": __version__, "python": platform.python_version()}, 1)],
        )
        yield from _policy(self._loaded())
        not_after = certificate_end(self._ca_certificate)
        yield _gauge(
            "ca_not_after_timestamp_seconds",
            "When the certificate authority of the pages ends",
            [] if not_after is None else [({}, not_after)],
        )
        signing_end = certificate_end(self._ca_certificate.with_name("intermediate.pem"))
        yield _gauge(
            "ca_intermediate_not_after_timestamp_seconds",
            "When the intermediate that signs pages ends: `sumun ca rotate` makes another",
            [] if signing_end is None else [({}, signing_end)],
        )


def certificate_end(path: Path) -> float | None:
    """Seconds since 1970 at which the last certificate in this PEM file ends; None where there is none to read.

    Older roots stand beside the one in use while clients still have them.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=path)
    except OSError:  # also ssl.SSLError: no file, or no certificate in it
        return None
    ends = [ssl.cert_time_to_seconds(str(certificate["notAfter"])) for certificate in context.get_ca_certs()]
    return max(ends, default=None)


def _policy(view: LoadedView) -> Iterator[Metric]:
    yield _gauge("policy_info", "The policy that is served", [({"revision": view.revision}, 1)])
    yield _gauge(
        "policy_last_reload_successful",
        "1 if the files as they are now are what is served",
        [({}, float(view.last_reload_ok))],
    )
    yield _gauge(
        "policy_last_reload_success_timestamp_seconds",
        "When a policy was last loaded without a fault",
        _moments([({}, view.last_success)]),
    )
    yield _gauge("rule_until_timestamp_seconds", "When a rule lapses", _moments(_ends(view)))
    lists = {name: ({"list": name}, state) for name, state in view.lists.items()}.values()
    yield _gauge("list_entries", "Domains of a list", [(label, state.entries) for label, state in lists])
    yield _gauge(
        "list_refused_lines", "Lines of a list not taken", [(label, state.refused_lines) for label, state in lists]
    )
    yield _gauge(
        "list_last_success_timestamp_seconds",
        "When a list was last read, or a subscription last seen to be what is published",
        _moments((label, state.last_success) for label, state in lists),
    )
    yield _gauge(
        "list_last_update_successful",
        "1 if the last update of a subscription did not fail",
        [(label, float(not state.trouble)) for label, state in lists if state.subscribed],
    )


def _ends(view: LoadedView) -> Iterator[tuple[Mapping[str, str], datetime | None]]:
    for segment, rules in ((GLOBAL, view.rules), *((segment.name, segment.rules) for segment in view.segments)):
        for rule in rules:
            yield {"segment": segment, "rule": rule.id}, rule.schedule.until


def _moments(series: Iterable[tuple[Mapping[str, str], datetime | None]]) -> Series:
    return [(labels, at.timestamp()) for labels, at in series if at is not None]


def _gauge(name: str, text: str, series: Series) -> Metric:
    metric = Metric(f"sumun_{name}", text, "gauge")
    for labels, value in series:
        metric.add_sample(metric.name, dict(labels), value)
    return metric
