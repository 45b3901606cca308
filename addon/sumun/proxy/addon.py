"""The hooks of mitmproxy for requests: guard, translate, decide, enforce, tell; ``connection_hooks`` has the others.

Behind the gate (mode ``guard``) they see only what policy must look into. In mitmproxy's own modes they also do the
gate's work, with the same rulings.

mitmproxy lets a request go on whose hook raised. So no hook here raises: it ends as the client's segment says.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.proxy.layers.modes import Socks5Proxy, TransparentProxy
from mitmproxy.proxy.mode_specs import UpstreamMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from sumun.content.llm_request import LIMIT, from_whole
from sumun.model.name import IPAddress
from sumun.model.rule import IPNetwork
from sumun.proxy import enforce, translate
from sumun.proxy.answering import Answering
from sumun.proxy.bounds import BoundedBuffer, bound_body, stream_of
from sumun.proxy.connection_hooks import ConnectionHooks
from sumun.proxy.destination import Destination
from sumun.proxy.exchanges import Exchanges
from sumun.proxy.failing import show_failures
from sumun.proxy.forms import Forms
from sumun.proxy.http_point import HttpPoint
from sumun.proxy.next_proxy import lead
from sumun.proxy.origin import Forbidden, NoWay, Origins
from sumun.proxy.pinned import Pinned
from sumun.proxy.ruling import CONNECT_PORT
from sumun.proxy.signing_in import SignIn
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
        self.connections = ConnectionHooks(point.teller, origins, pinned or Pinned(), sign_in)
        self.addons = [self.connections, *([forms] if forms else [])]
        """What mitmproxy calls after this: children of an addon."""
        self._origins = origins
        self._trusted = trusted
        self._exchanges = exchanges
        self._answering = Answering()
        self._private = sign_in.private if sign_in else ()
        """Fields that never leave."""
        self._options = options

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
        request, facts = flow.request, self.point.read_head(flow, self._trusted)
        self._keep_to_ourselves(flow)
        handler = _handler_of(flow)
        if stream := stream_of(handler, flow):
            show_failures(stream, self.point.upstream_failed)
            fit_to_origin(stream)
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

    def client_disconnected(self, client: Client) -> None:
        """Whatever was under way on this connection."""
        if self._exchanges:
            self._exchanges.end_all(client.id)

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


def _handler_of(flow: http.HTTPFlow) -> Any:
    return ctx.master.addons.get("proxyserver").connections.get(flow.client_conn.id)


def _path(request: http.Request) -> str:
    return request.path.partition("?")[0]
