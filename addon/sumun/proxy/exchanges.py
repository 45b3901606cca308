"""Decrypted requests under way: a download, a stream or a WebSocket ends when policy would not begin it any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mitmproxy import http
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler

from sumun.model.request import AccessRequest
from sumun.model.segment import FailMode
from sumun.model.verdict import Verdict
from sumun.policy.verdicts import http_verdict
from sumun.proxy.bounds import abort
from sumun.proxy.ruling import Ruling, decide_all
from sumun.proxy.telling import Teller
from sumun.proxy.tunnels import Tunnels

ASKED = "sumun.asked"
"""Key in a flow's metadata: what policy was asked about a request that was forwarded, and until when it holds."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions about one request, and until when the answer holds."""

    requests: Sequence[AccessRequest]
    until: datetime | None


@dataclass(eq=False, slots=True)
class Exchange:
    """One request under way."""

    handler: ProxyConnectionHandler

    def close(self) -> None:
        """End the client's connection: whatever else runs on it is for the same host."""
        abort(self.handler)


@dataclass(slots=True)
class Exchanges:
    """Those under way of one process."""

    teller: Teller
    watched: Tunnels[Exchange]
    _running: dict[str, dict[str, Exchange]] = field(default_factory=dict)
    """By ids of connections, then of flows."""

    def begin(self, flow: http.HTTPFlow, handler: ProxyConnectionHandler | None) -> None:
        """Watch a request that was forwarded, if it concerns generative AI."""
        asked: Asked | None = flow.metadata.pop(ASKED, None)
        if asked is None or handler is None or flow.response:
            return
        exchange = Exchange(handler)
        self._running.setdefault(flow.client_conn.id, {})[flow.id] = exchange
        self.watched.add(exchange, lambda: self._may_run(asked.requests), asked.until)

    def end(self, flow: http.HTTPFlow) -> None:
        """Forget a request whose answer is complete."""
        if exchange := self._running.get(flow.client_conn.id, {}).pop(flow.id, None):
            self.watched.discard(exchange)

    def end_all(self, connection: str) -> None:
        """Forget what ran on a connection that has ended."""
        for exchange in self._running.pop(connection, {}).values():
            self.watched.discard(exchange)

    def _may_run(self, requests: Sequence[AccessRequest]) -> bool:
        policy = self.teller.policy()
        ruling: Ruling = decide_all(policy, requests, at=self.teller.clock())
        segment = policy.segment_of(requests[0].client)
        mode = segment.on_failure if segment else FailMode.CLOSED
        return http_verdict(ruling.outcome, mode) is Verdict.FORWARDED
