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
from mitmproxy.exceptions import AddonHalt
from mitmproxy.net.tls import starts_like_tls_record
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import NextLayer
from mitmproxy.proxy.layers import ClientTLSLayer, HttpLayer
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.modes import TransparentProxy
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
from sumun.proxy.hygiene import Flaw
from sumun.proxy.opening import Unreadable, client_hello
from sumun.proxy.origin import Forbidden, NoWay, Origins
from sumun.proxy.parents import forwarded, is_parent
from sumun.proxy.ruling import CONNECT_PORT, SMUGGLING, TLS_IN_TLS, GateRuling, objection
from sumun.proxy.strict import HEAD, Strictness
from sumun.proxy.trailers import fit_to_origin
from sumun.proxy.vetted import VettedAddress

logger = logging.getLogger(__name__)

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

    def __init__(
        self,
        *,
        point: HttpPoint,
        origins: Origins,
        trusted: tuple[IPNetwork, ...] = (),
        forms: Forms | None = None,
        options: Mapping[str, Any] | None = None,
        exchanges: Exchanges | None = None,
        head: int = HEAD,
    ) -> None:
        """Take the parts; ``options`` are set when mitmproxy runs an addon that it did not make its options for."""
        self.point = point
        self._forms = forms
        self.strictness = Strictness(self._refused_unread, head=head)
        """To be added after whoever chooses layers."""
        self.addons = [each for each in (forms, self.strictness if options else None) if each]
        """What mitmproxy calls after this: children of an addon."""
        self._origins = origins
        self._trusted = trusted
        self._exchanges = exchanges
        self._answering = Answering()
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
        if is_parent(translate.client_address(flow), self._trusted):
            flow.metadata[translate.TOLD] = forwarded(request.headers.get_all("x-forwarded-for"), self._trusted)
        handler = _handler_of(flow)
        if stream := stream_of(handler, flow):
            show_failures(stream, self.point.upstream_failed)
            fit_to_origin(stream)
        facts = from_head(request.method, _path(request), request.headers.get("content-type", ""))
        settled = self.point.settle(flow, facts, whole=False)
        if settled and not flow.response:
            request.stream = True
            self._begin(flow, handler)
            return
        buffer = bound_body(handler, flow, LIMIT)
        flow.metadata[_BODY] = (buffer, settled)

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
        if address is None or isinstance(address, VettedAddress):
            return
        try:
            destination = Destination(translate.host(address[0]), address[1])
            addresses = await self._origins.addresses(destination, here=translate.address(data.client.sockname[0]))
            self._check_port(data, addresses)
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

    def _check_port(self, data: ServerConnectionHookData, addresses: tuple[IPAddress, ...]) -> None:
        """Hold what came through a CONNECT to the segment's ports, as the gate does with what it splices."""
        assert data.server.address  # noqa: S101 - narrows the type; the caller has looked
        port = data.server.address[1]
        client = translate.address(data.client.peername[0])
        if port in self.point.teller.proxy_policy(client).connect_ports or self._origins.are_internal(addresses):
            return
        handler = ctx.master.addons.get("proxyserver").connections.get(data.client.id)
        if handler and isinstance(handler.layer, TransparentProxy):
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

    def _refused_unread(self, context: Context, flaw: Flaw) -> None:
        if flaw.is_smuggling:
            self.point.teller.bypass(translate.address(context.client.peername[0]), SMUGGLING)

    # the gate's work in mitmproxy's own modes

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Answer a CONNECT that did not pass our gate, without dialling."""
        try:
            destination = Destination(translate.host(flow.request.host), flow.request.port)
            verdict = self._ruling(flow.client_conn.peername[0], destination, None).verdict
        except Exception:
            logger.exception("a hook failed")
            verdict = Verdict.CLOSED
        if verdict in (Verdict.REFUSED, Verdict.CLOSED):
            enforce.bare(flow, 403, "this network may not use this proxy")
        else:
            # a response without header fields is sent as it is, and keeps mitmproxy from dialling first
            flow.response = http.Response(b"HTTP/1.1", 200, b"Connection established", http.Headers(), b"", None, 0, 0)

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
        elif ruling.verdict is Verdict.SPLICED:
            data.ignore_connection = True
            self._tell(ruling, Verdict.SPLICED, DataExposed.REQUEST_BODY, name)
        elif ruling.verdict is not Verdict.INTERCEPTED:
            self._refused.add(data.context.client.id)
            self._tell(ruling, ruling.verdict, DataExposed.NONE, name)

    def tls_start_client(self, data: tls.TlsData) -> None:
        """Give no certificate to a refused connection: mitmproxy then closes it."""
        if data.context.client.id in self._refused:
            raise AddonHalt

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Tell of a client that would not speak to us: it does not trust our authority, or gave up."""
        try:
            name = parse_host(data.conn.sni) if data.conn.sni else None
            if data.context.client.id not in self._refused:
                self._tell(self._tls_ruling(data.context, name), Verdict.CLOSED, DataExposed.NONE, name)
        except Exception:
            logger.exception("a hook failed")

    def client_disconnected(self, client: Any) -> None:
        """Forget the connection."""
        self._refused.discard(client.id)
        if self._exchanges:
            self._exchanges.end_all(client.id)

    def _tls_ruling(self, context: Any, name: DomainName | IPAddress | None) -> GateRuling:
        return self._ruling(context.client.peername[0], _opened_for(context), name)

    def _ruling(self, peer: str, destination: Destination | None, name: DomainName | IPAddress | None) -> GateRuling:
        return self.point.teller.rule_at_gate(translate.address(peer), destination, name)

    def _tell(
        self,
        ruling: GateRuling,
        verdict: Verdict,
        exposed: DataExposed,
        name: DomainName | IPAddress | None,
        bypass: str | None = None,
    ) -> None:
        shown = str(name) if name else None
        self.point.teller.ended_at_gate(ruling, verdict, exposed, server_name=shown, bypass=bypass)


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
