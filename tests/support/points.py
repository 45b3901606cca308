"""The three enforcement points without sockets, each asked the way its shell asks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import dns.message
import dns.rcode
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons, tflow, tutils
from prometheus_client import CollectorRegistry

from sumun.config.settings import PagesListener
from sumun.model.event import AccessDecided
from sumun.model.name import DomainName, IPAddress
from sumun.model.organisation import Organisation
from sumun.model.request import AccessRequest
from sumun.model.verdict import Verdict
from sumun.pages.render import render, render_failure
from sumun.policy.engine import Policy
from sumun.proxy.addon import SumunAddon
from sumun.proxy.destination import Destination, Vetting
from sumun.proxy.http_point import HttpPoint
from sumun.proxy.origin import Origins
from sumun.proxy.ruling import gate_ruling
from sumun.proxy.telling import Teller
from sumun.sinkhole.outcome import Answer, Forward
from sumun.sinkhole.responder import Responder
from sumun.telemetry.metrics import Metrics
from tests.support.recording import RecordingEvents

PAGES = PagesListener(ip_address("192.0.2.81"), None, 80, 443)


class NoResolver:
    """Nothing is looked up here."""

    async def addresses(self, name: DomainName) -> tuple[IPAddress, ...]:
        raise AssertionError(f"{name} was looked up")


@dataclass(frozen=True)
class Seen:
    """What a point did with one request."""

    verdict: Verdict
    status: int | None = None
    """HTTP status of our own answer; None: the request went on."""
    events: tuple[AccessDecided, ...] = ()


class Points:
    """One policy, three points."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._at = datetime.min.replace(tzinfo=UTC)
        self._events = RecordingEvents()
        self._responder = Responder(policy=lambda: policy, pages=PAGES)
        teller = Teller(
            policy=lambda: policy, events=self._events, metrics=Metrics(CollectorRegistry()), clock=lambda: self._at
        )
        point = HttpPoint(teller, Organisation, render, render_failure)
        self._mitmproxy = taddons.context(Proxyserver())  # dear to make, and good for any number of flows
        self._addon = SumunAddon(point=point, origins=Origins(NoResolver(), Vetting((), frozenset())))

    def dns(self, request: AccessRequest, at: datetime) -> Seen:
        """Ask for the name's address over UDP."""
        query = dns.message.make_query(str(request.name) + ".", "A", use_edns=0)
        response = self._responder.on_query(query.to_wire(), request.client, "udp", at=at)
        assert isinstance(response, Answer | Forward)
        attempt = response.attempt
        events = (attempt.event(request.client, "udp", at),) if attempt else ()
        if isinstance(response, Forward):
            return Seen(Verdict.FORWARDED, events=events)
        shown = _what_a_client_sees(dns.message.from_wire(query.to_wire()[:2] + response.body))
        verdict = attempt.verdict if attempt else shown
        assert shown == {Verdict.STEERED: Verdict.SINKHOLED}.get(verdict, verdict)
        return Seen(verdict, events=events)

    def gate(self, request: AccessRequest, at: datetime) -> Seen:
        """Decide on a CONNECT to the name, followed by TLS with the same server name."""
        assert request.name is not None
        destination = Destination(request.name, request.port or 443)
        return Seen(gate_ruling(self.policy, request.client, destination, request.name, at=at).verdict)

    def http(self, request: AccessRequest, at: datetime) -> Seen:
        """Run the hooks on a decrypted request."""
        self._at = at
        flow = _flow(request)
        self._events.seen.clear()
        with self._mitmproxy:
            self._addon.requestheaders(flow)
            if flow.response is None:
                self._addon.request(flow)
        events = tuple(self._events.seen)
        status = flow.response.status_code if flow.response else None
        return Seen(events[0].verdict if events else Verdict.FORWARDED, status, events)


def _flow(request: AccessRequest) -> Any:
    body = json.dumps({"model": request.model, "messages": []}).encode() if isinstance(request.model, str) else b""
    headers = [(b"host", str(request.name).encode()), (b"accept", b"text/html"), (b"content-length", b"%d" % len(body))]
    headers += [(b"content-type", b"application/json")] if body else []
    path = request.path if isinstance(request.path, str) else "/"
    asked = tutils.treq(
        host=str(request.name), port=443, scheme=b"https", authority=b"", headers=headers, content=body,
        method=(request.method or ("POST" if body else "GET")).encode(), path=path.encode(),
    )  # fmt: skip
    flow = tflow.tflow(req=asked)
    flow.client_conn.peername = (str(request.client), 50000)
    flow.client_conn.sni = str(request.name)
    flow.server_conn.address = (str(request.name), 443)
    return flow


def _what_a_client_sees(message: dns.message.Message) -> Verdict:
    """The verdict as the octets tell it; a steered name looks like a sinkholed one."""
    addresses = {record.address for rrset in message.answer for record in rrset}
    if addresses:
        return {str(PAGES.address): Verdict.SINKHOLED, "0.0.0.0": Verdict.NULL}[addresses.pop()]
    rcode = message.rcode()
    return {
        dns.rcode.NOERROR: Verdict.NODATA,
        dns.rcode.NXDOMAIN: Verdict.NXDOMAIN,
        dns.rcode.REFUSED: Verdict.REFUSED,
    }[rcode]
