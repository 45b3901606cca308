"""The hooks of mitmproxy: guard, translate, decide, enforce, tell.

Behind the gate (mode ``guard``) they see only what policy must look into. In mitmproxy's own modes they also do the
gate's work, with the same rulings.

mitmproxy lets a request go on whose hook raised. So no hook here raises: it ends as the client's segment says.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from mitmproxy import ctx, http, tls
from mitmproxy.connection import Client
from mitmproxy.exceptions import AddonHalt
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import ClientTLSLayer, HttpLayer
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.modes import Socks5Proxy, TransparentProxy
from mitmproxy.proxy.mode_specs import UpstreamMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from sumun.content.llm_request import LIMIT, from_head, from_whole
from sumun.model.name import DomainName, IPAddress, parse_host
from sumun.model.rule import IPNetwork
from sumun.model.verdict import DataExposed, Verdict
from sumun.proxy import enforce, translate
from sumun.proxy.answering import Answering
from sumun.proxy.bounds import BoundedBuffer, bound_body, stream_of
from sumun.proxy.destination import Destination
from sumun.proxy.exchanges import Exchanges
from sumun.proxy.failing import show_failures
from sumun.proxy.forms import Forms
from sumun.proxy.guard import GuardMode
from sumun.proxy.http_point import HttpPoint
from sumun.proxy.next_proxy import lead
from sumun.proxy.opening import Unreadable, client_hello
from sumun.proxy.origin import Forbidden, NoWay, Origins
from sumun.proxy.pinned import Pinned
from sumun.proxy.ruling import CONNECT_PORT, TLS_IN_TLS, GateRuling, objection
from sumun.proxy.signing_in import SignIn
from sumun.proxy.trailers import fit_to_origin
from sumun.proxy.vetted import VettedAddress

logger = logging.getLogger(__name__)

_NOT_TRUSTED = "The client does not trust the proxy's certificate"
"""How mitmproxy begins to tell of an alert that refuses our certificate, in a connection's ``error``."""
_BODY = "sumun.body"
"""Key in a flow's metadata: the buffer of a request that waits for its body."""
_OURS = "sumun.answered"
"""Key in a flow's metadata: the response is ours."""


def _settles[**P](hook: Callable[[SumunAddon, http.HTTPFlow], None]) -> Callable[[SumunAddon, http.HTTPFlow], None]:
    """Skip flows that are settled, and end those whose hook fails as the client's segment says."""

    @functools.wraps(hook)
    def safe(self: SumunAddon, flow: http.HTTPFlow) -> None:
        if flow.response or flow.error or not flow.live or self.answers_itself(flow):
            return
        try:
            hook(self, flow)
        except Exception:
            logger.exception("a hook failed")
            self.point.fail(flow)
        if flow.response:
            flow.metadata[_OURS] = True

    return safe


class SumunAddon:
    """The http point as an addon."""

    def __init__(  # noqa: PLR0913 - the parts, by name
        self,
        *,
        point: HttpPoint,
        origins: Origins,
        trusted: tuple[IPNetwork, ...] = (),
        forms: Forms | None = None,
        pinned: Pinned | None = None,
        sign_in: SignIn | None = None,
        options: Mapping[str, Any] | None = None,
        exchanges: Exchanges | None = None,
    ) -> None:
        """Take the parts; ``options`` are set when mitmproxy runs an addon that it did not make its options for."""
        self.point = point
        self._forms = forms
        self.addons = [forms] if forms else []
        """What mitmproxy calls after this: children of an addon."""
        self._origins = origins
        self._trusted = trusted
        self._exchanges = exchanges
        self._answering = Answering()
        self._pinned = pinned or Pinned()
        self._sign_in = sign_in
        self._private = sign_in.private if sign_in else ()
        """Fields that never leave."""
        self._options = options
        self._refused: set[str] = set()
        """Ids of connections, in mitmproxy's own modes, whose TLS must not be served."""

    def answers_itself(self, flow: http.HTTPFlow) -> bool:
        """Whether the request is for the filter's own address on this origin."""
        return self._forms is not None and self._forms.takes(flow)

    def running(self) -> None:
        """Set what the filter relies on."""
        if self._options:
            ctx.options.update(**self._options)

    # requests

    @_settles
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Decide on what the head tells; what needs the body waits for ``request``."""
        request = flow.request
        enforce.without_upgrade_to_h2c(request)
        translate.told(flow, self._trusted)
        self._keep_to_ourselves(flow)
        handler = _handler_of(flow)
        if stream := stream_of(handler, flow):
            show_failures(stream, self.point.upstream_failed)
            fit_to_origin(stream)
        facts = from_head(request.method, _path(request), request.headers.get("content-type", ""))
        settled = self.point.settle(flow, facts, whole=False)
        if settled and not flow.response:
            self._lead_on(flow)
            request.stream = not flow.response
            if not flow.response:
                self._begin(flow, handler)
            return
        buffer = bound_body(handler, flow, LIMIT)
        flow.metadata[_BODY] = (buffer, settled)

    def _keep_to_ourselves(self, flow: http.HTTPFlow) -> None:
        """What was said to this proxy of who asks is for nobody else, whoever said it."""
        theirs = isinstance(flow.client_conn.proxy_mode, UpstreamMode) and ctx.options.upstream_auth
        if not theirs:  # mitmproxy's own mode has put its credentials for the next proxy there
            flow.request.headers.pop("proxy-authorization", None)
        for name in self._private:
            flow.request.headers.pop(name, None)

    @_settles
    def request(self, flow: http.HTTPFlow) -> None:
        """Decide on what waited for its body, and frame what came without a length."""
        buffer, settled = flow.metadata.pop(_BODY, (None, True))
        request = flow.request
        overflowed = isinstance(buffer, BoundedBuffer) and buffer.overflowed
        body = None if overflowed else request.raw_content
        if not settled:
            headers = request.headers
            facts = from_whole(
                request.method,
                _path(request),
                headers.get("content-type", ""),
                body,
                headers.get("content-encoding", ""),
            )
            self.point.settle(flow, facts, whole=True)
        if overflowed and not flow.response:
            self.point.too_large(flow)
        elif translate.lies_about_length(request) and not flow.response:
            self.point.lying(flow)
        if not flow.response:
            self._lead_on(flow)
        if not flow.response:
            self._begin(flow, _handler_of(flow))
        if request.is_http2 and body and "content-length" not in request.headers:
            # mitmproxy would send the body unframed to an HTTP/1 origin, which reads it as the next request
            request.headers["content-length"] = str(len(body))

    def _begin(self, flow: http.HTTPFlow, handler: Any) -> None:
        if self._exchanges:
            self._exchanges.begin(flow, handler)

    def response(self, flow: http.HTTPFlow) -> None:
        """The answer is complete, or leads to a WebSocket."""
        if self._exchanges and not flow.websocket:
            self._exchanges.end(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """There is no whole answer."""
        if self._exchanges:
            self._exchanges.end(flow)

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        """Both sides have done."""
        if self._exchanges:
            self._exchanges.end(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Pass the origin's answer on as it comes; Alt-Svc would lead the client past us (RFC 7838)."""
        if flow.response is None or _OURS in flow.metadata or self.answers_itself(flow):
            return
        flow.response.headers.pop("alt-svc", None)
        if flow.response.status_code != 101:
            flow.response.stream = True

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Forget what is relayed: mitmproxy would keep every message until the end."""
        if flow.websocket:
            flow.websocket.messages.clear()

    # connections to origins

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        """Vet what is about to be dialled, whatever asked for it: the last guard in every mode.

        Its failure refuses in every segment: this protects the network's own hosts, not what policy is about.
        """
        address = data.server.address
        if address is None or isinstance(address, VettedAddress) or data.server.error:
            return
        try:
            destination = Destination(translate.host(address[0]), address[1])
            addresses = await self._origins.addresses(destination, here=translate.address(data.client.sockname[0]))
            self._check_port(data.client, destination.port, addresses)
            chosen = await self._answering.one_of(addresses, destination.port)
        except NoWay as error:
            data.server.error = str(error)
        except Exception:
            logger.exception("vetting a destination failed")
            data.server.error = "the destination could not be checked"
        else:
            if data.server.sni is None and destination.name:
                data.server.sni = data.client.sni or str(destination.name)
            data.server.address = VettedAddress.of(chosen, (address[0], address[1]))

    def _lead_on(self, flow: http.HTTPFlow) -> None:
        """Through the next proxy, where there is one and it leads there; what can be vetted here is."""
        client = translate.client_address(flow)
        how = self.point.teller.proxy_policy(client).next_proxy
        if how is None:
            return
        destination = Destination(translate.host(flow.request.host), flow.request.port)
        if not how.leads_to(destination.host):
            return
        try:
            self._origins.vet(destination, here=translate.address(flow.client_conn.sockname[0]))
            literal = (destination.address,) if destination.address else ()
            self._check_port(flow.client_conn, destination.port, literal)
            lead(flow, how, client)
        except NoWay as error:
            enforce.bare(flow, 403 if isinstance(error, Forbidden) else 502, str(error))

    def _check_port(self, connection: Client, port: int, addresses: tuple[IPAddress, ...]) -> None:
        """Hold what came through a CONNECT to the segment's ports, as the gate does with what it splices."""
        client = translate.address(connection.peername[0])
        ours = bool(addresses) and self._origins.are_internal(addresses)
        if ours or port in self.point.teller.proxy_policy(client).connect_ports:
            return
        handler = ctx.master.addons.get("proxyserver").connections.get(connection.id)
        socks = handler is not None and isinstance(handler.layer, Socks5Proxy)
        if handler and (isinstance(handler.layer, TransparentProxy) or (socks and port != 80)):
            self.point.teller.bypass(client, CONNECT_PORT)
            raise Forbidden(f"this network may not connect to port {port} through this proxy")

    # layers

    def next_layer(self, layer: NextLayer) -> None:
        """Take what is inside a tunnel for HTTP where mitmproxy would relay it as DNS, or open a second TLS inside."""
        context = layer.context
        if layer.layer is not None:
            return
        is_tls = starts_like_tls_record(layer.data_client())
        to_dns = context.server.address is not None and context.server.address[1] in (53, 5353)
        if is_tls and _inside_tls(context):
            self.point.teller.bypass(translate.address(context.client.peername[0]), TLS_IN_TLS)
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
        how = self.point.teller.proxy_policy(translate.address(data.context.client.peername[0]))
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
        asked, outcome, teller = ruling.ruling.request, ruling.ruling.outcome, self.point.teller
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
        opened_for, teller = _opened_for(context), self.point.teller
        host = name or (opened_for.host if opened_for else None)
        outcome = ruling.ruling.outcome
        teller.metrics.pinned.labels(outcome.segment, "refused").inc()
        if host is not None:
            self._pinned.note(ruling.ruling.request.client, host, outcome, teller.clock())

    def client_disconnected(self, client: Any) -> None:
        """Forget the connection."""
        self._refused.discard(client.id)
        if self._exchanges:
            self._exchanges.end_all(client.id)

    def _tls_ruling(self, context: Any, name: DomainName | IPAddress | None) -> GateRuling:
        return self._ruling(context.client, _opened_for(context), name)

    def _ruling(
        self, client: Client, destination: Destination | None, name: DomainName | IPAddress | None
    ) -> GateRuling:
        who = self._sign_in.who(client) if self._sign_in else None
        return self.point.teller.rule_at_gate(translate.address(client.peername[0]), destination, name, who)

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
        self.point.teller.ended_at_gate(ruling, verdict, exposed, server_name=shown, bypass=bypass, pinned=pinned)


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


def _handler_of(flow: http.HTTPFlow) -> Any:
    return ctx.master.addons.get("proxyserver").connections.get(flow.client_conn.id)


def _path(request: http.Request) -> str:
    return request.path.partition("?")[0]
