"""The record of one attempt: a fact, before any sink gives it a shape."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sumun.model.decision import Outcome
from sumun.model.request import AccessRequest
from sumun.model.verdict import DataExposed, Point, Verdict


@dataclass(frozen=True, slots=True)
class Context:
    """What was seen beside the request; every text here is untrusted."""

    dns_type: str | None = None
    protocol: str | None = None
    """``udp`` or ``tcp`` for DNS; ``http``, ``https`` or ``tls`` for the proxy."""
    server_name: str | None = None
    user_agent: str | None = None
    bypass: str | None = None
    """Technique, where the attempt looks like one of getting round the filter."""
    failure: bool = False
    """The verdict came from the segment's ``on_failure``, not from a decision."""
    pinned: bool = False
    """The client refused our certificate, now or lately."""


@dataclass(frozen=True, slots=True)
class AccessDecided:
    """Somebody tried to reach something, and this is what became of it."""

    at: datetime
    point: Point
    request: AccessRequest
    outcome: Outcome
    verdict: Verdict
    data_exposed: DataExposed
    context: Context = Context()
    id: str = ""
    """What somebody was told already; empty: it gets one when it is recorded."""

    @property
    def bypass(self) -> str | None:
        """Technique of getting round the filter: what was seen on the wire, else what the name stands for."""
        return self.context.bypass or self.outcome.bypass


class Events(Protocol):
    """Where enforcement points tell what they did."""

    def record(self, event: AccessDecided) -> str:
        """Take the event without blocking and return its id, the incident id of a page."""
        ...
