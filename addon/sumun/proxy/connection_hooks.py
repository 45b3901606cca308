"""The hooks of mitmproxy for connections: what begins in them, and the gate's work in mitmproxy's own modes.

Behind our own gate (mode ``guard``) a connection is ruled on before it gets here. What a hook fails on would go on, so
none raises but to stop a connection.
"""

from __future__ import annotations

import logging
from typing import Any

from mitmproxy import http, tls
from mitmproxy.connection import Client
from mitmproxy.exceptions import AddonHalt
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import ClientTLSLayer, HttpLayer
from mitmproxy.proxy.layers.http import HTTPMode

from sumun.model.name import DomainName, IPAddress, parse_host
from sumun.model.verdict import DataExposed, Verdict
from sumun.proxy import enforce, translate
from sumun.proxy.destination import Destination
from sumun.proxy.guard import GuardMode
from sumun.proxy.opening import Unreadable, client_hello
from sumun.proxy.origin import NoWay, Origins
from sumun.proxy.pinned import Pinned
from sumun.proxy.ruling import CONNECT_PORT, TLS_IN_TLS, GateRuling, objection
from sumun.proxy.signing_in import SignIn
from sumun.proxy.telling import Teller

logger = logging.getLogger(__name__)

_NOT_TRUSTED = "The client does not trust the proxy's certificate"
"""How mitmproxy begins to tell of an alert that refuses our certificate, in a connection's ``error``."""


class ConnectionHooks:
    """What policy says of connections, as an addon."""

    def __init__(self, teller: Teller, origins: Origins, pinned: Pinned, sign_in: SignIn | None) -> None:
        self._teller = teller
        self._origins = origins
        self._pinned = pinned
        self._sign_in = sign_in
        self._refused: set[str] = set()
        """Ids of connections, in mitmproxy's own modes, whose TLS must not be served."""

    # layers

    def next_layer(self, layer: NextLayer) -> None:
        """Take what is inside a tunnel for HTTP where mitmproxy would relay it as DNS, or open a second TLS inside."""
        context = layer.context
        if layer.layer is not None:
            return
        is_tls = starts_like_tls_record(layer.data_client())
        to_dns = context.server.address is not None and context.server.address[1] in (53, 5353)
        if is_tls and _inside_tls(context):
            self._teller.bypass(translate.address(context.client.peername[0]), TLS_IN_TLS)
            layer.layer = HttpLayer(context, HTTPMode.transparent)  # which it is not, and so is refused
        elif to_dns and not is_tls:
            layer.layer = HttpLayer(context, HTTPMode.transparent)

    # the gate's work in mitmproxy's own modes

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """Answer a CONNECT that did not pass our gate, without dialling; another addon may have answered."""
        if flow.response:
            return
        try:
            why = await self._why_not_connect(flow)
        except Exception:
            logger.exception("a hook failed")
            why = "stopped: the filter could not check this request"
        if why:
            enforce.bare(flow, 403, why)
        else:
            # a response without header fields is sent as it is, and keeps mitmproxy from dialling first
            flow.response = http.Response(b"HTTP/1.1", 200, b"Connection established", http.Headers(), b"", None, 0, 0)

    async def _why_not_connect(self, flow: http.HTTPFlow) -> str:
        destination = Destination(translate.host(flow.request.host), flow.request.port)
        ruling = self._ruling(flow.client_conn, destination, None)
        if ruling.verdict in (Verdict.REFUSED, Verdict.CLOSED):
            return "this network may not use this proxy"
        if destination.port in ruling.how.connect_ports or await self._is_internal(flow, destination):
            return ""
        self._tell(ruling, Verdict.REFUSED, DataExposed.NONE, None, CONNECT_PORT)
        return f"this network may not connect to port {destination.port} through this proxy"

    async def _is_internal(self, flow: http.HTTPFlow, destination: Destination) -> bool:
        if not self._origins.has_internal:
            return False
        try:
            here = translate.address(flow.client_conn.sockname[0])
            return self._origins.are_internal(await self._origins.addresses(destination, here=here))
        except NoWay:
            return False

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Splice what policy need not look into."""
        data.establish_server_tls_first = False
        if _gated(data.context):
            return
        try:
            self._rule_on_tls(data)
        except Unreadable:
            self._refused.add(data.context.client.id)
        except Exception:
            logger.exception("a hook failed")
            self._refused.add(data.context.client.id)

    def _rule_on_tls(self, data: tls.ClientHelloData) -> None:
        # read by our own parser: mitmproxy takes an odd server name for none at all
        hello = client_hello(data.client_hello.raw_bytes())
        name = hello.server_name if hello else None
        ruling = self._tls_ruling(data.context, name)
        how = self._teller.proxy_policy(translate.address(data.context.client.peername[0]))
        if ruling.verdict is Verdict.SPLICED and (why := objection(how, _opened_for(data.context), name)):
            self._refused.add(data.context.client.id)
            self._tell(ruling, Verdict.REFUSED, DataExposed.NONE, name, why)
        elif ruling.verdict is Verdict.SPLICED or self._passes_pinned(ruling, name):
            data.ignore_connection = True
            pinned = ruling.verdict is not Verdict.SPLICED
            self._tell(ruling, Verdict.SPLICED, DataExposed.REQUEST_BODY, name, pinned=pinned)
        elif ruling.verdict is not Verdict.INTERCEPTED:
            self._refused.add(data.context.client.id)
            self._tell(ruling, ruling.verdict, DataExposed.NONE, name)

    def _passes_pinned(self, ruling: GateRuling, name: DomainName | IPAddress | None) -> bool:
        asked, outcome, teller = ruling.ruling.request, ruling.ruling.outcome, self._teller
        if ruling.verdict is not Verdict.INTERCEPTED:
            return False
        if passes := self._pinned.passes(asked.client, name, outcome, teller.clock()):
            teller.metrics.pinned.labels(outcome.segment, "spliced").inc()
        return passes

    def tls_start_client(self, data: tls.TlsData) -> None:
        """Give no certificate to a refused connection: mitmproxy then closes it."""
        if data.context.client.id in self._refused:
            raise AddonHalt

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Tell of a client that would not speak to us: it does not trust our authority, or gave up."""
        try:
            name = parse_host(data.conn.sni) if data.conn.sni else None
            if data.context.client.id not in self._refused:
                pinned = (data.conn.error or "").startswith(_NOT_TRUSTED)
                ruling = self._tls_ruling(data.context, name)
                self._tell(ruling, Verdict.CLOSED, DataExposed.NONE, name, pinned=pinned)
                if pinned:
                    self._note_pinned(ruling, data.context, name)
        except Exception:
            logger.exception("a hook failed")

    def _note_pinned(self, ruling: GateRuling, context: Any, name: DomainName | IPAddress | None) -> None:
        """Count and remember that our certificate was refused; that alone lets nobody through."""
        opened_for, teller = _opened_for(context), self._teller
        host = name or (opened_for.host if opened_for else None)
        outcome = ruling.ruling.outcome
        teller.metrics.pinned.labels(outcome.segment, "refused").inc()
        if host is not None:
            self._pinned.note(ruling.ruling.request.client, host, outcome, teller.clock())

    def client_disconnected(self, client: Client) -> None:
        """Forget the connection."""
        self._refused.discard(client.id)

    def _tls_ruling(self, context: Any, name: DomainName | IPAddress | None) -> GateRuling:
        return self._ruling(context.client, _opened_for(context), name)

    def _ruling(
        self, client: Client, destination: Destination | None, name: DomainName | IPAddress | None
    ) -> GateRuling:
        who = self._sign_in.who(client) if self._sign_in else None
        return self._teller.rule_at_gate(translate.address(client.peername[0]), destination, name, who)

    def _tell(
        self,
        ruling: GateRuling,
        verdict: Verdict,
        exposed: DataExposed,
        name: DomainName | IPAddress | None,
        bypass: str | None = None,
        *,
        pinned: bool = False,
    ) -> None:
        shown = str(name) if name else None
        self._teller.ended_at_gate(ruling, verdict, exposed, server_name=shown, bypass=bypass, pinned=pinned)


def _opened_for(context: Any) -> Destination | None:
    address = context.server.address
    return Destination(translate.host(address[0]), address[1]) if address else None


def _gated(context: Any) -> bool:
    """Whether our gate has decided on this very TLS; a CONNECT after a plain request on one connection passes it by."""
    return isinstance(context.client.proxy_mode, GuardMode) and not any(
        isinstance(layer, HttpLayer) for layer in context.layers
    )


def _inside_tls(context: Any) -> bool:
    """Whether TLS was taken off already, with no HTTP (such as a CONNECT) in between."""
    below = [layer for layer in context.layers if not isinstance(layer, NextLayer)]
    return bool(below) and isinstance(below[-1], ClientTLSLayer)
