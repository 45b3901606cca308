"""The hooks that ask who the user is, before any other sees a request that was not through our gate."""

from __future__ import annotations

import logging
from weakref import WeakKeyDictionary, WeakSet

from mitmproxy import ctx, http
from mitmproxy.connection import Client
from mitmproxy.proxy.mode_specs import RegularMode, UpstreamMode

from sumun.model.name import IPAddress
from sumun.model.request import UNKNOWN
from sumun.model.rule import IPNetwork
from sumun.model.user import Identity
from sumun.proxy import enforce, translate
from sumun.proxy.authentication import Asked, Authentication, Unsettled
from sumun.proxy.bounds import bound_body
from sumun.proxy.credentials import said
from sumun.proxy.http_point import HttpPoint
from sumun.proxy.parents import is_parent

logger = logging.getLogger(__name__)


class SignIn:
    """An addon, ahead of ours; it is there only where users are configured."""

    def __init__(self, authentication: Authentication, point: HttpPoint, trusted: tuple[IPNetwork, ...]) -> None:
        """Take the parts."""
        self._authentication, self._point, self._trusted = authentication, point, trusted
        self.private = authentication.header.names if authentication.header else ()
        """Fields that are meant for this proxy alone."""
        self._tunnels: WeakKeyDictionary[Client, Identity | None] = WeakKeyDictionary()
        """Who opened the tunnel that requests come through; what is said inside it is meant for the origin."""
        self._proxied: WeakSet[Client] = WeakSet()

    def settle(self, client: Client, who: Identity | None) -> None:
        """Remember whose tunnel a connection is."""
        self._tunnels[client] = who

    def who(self, client: Client) -> Identity | None:
        """Whose tunnel a connection is."""
        return self._tunnels.get(client)

    def may_ask(self, client: Client) -> None:
        """Remember that a connection came to a proxy: whoever is led here by DNS or a firewall cannot be asked."""
        self._proxied.add(client)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Put the user to the request, or ask."""
        if flow.response or flow.error or not flow.live:
            return
        if flow.client_conn in self._tunnels:
            flow.metadata[translate.USER] = self._tunnels[flow.client_conn]
        elif flow.client_conn in self._proxied or isinstance(flow.client_conn.proxy_mode, RegularMode | UpstreamMode):
            await self._guarded(flow, tunnel=False)

    async def http_connect(self, flow: http.HTTPFlow) -> None:
        """The same for a CONNECT that did not pass our gate."""
        await self._guarded(flow, tunnel=True)

    async def _guarded(self, flow: http.HTTPFlow, *, tunnel: bool) -> None:
        try:
            who = await self._who(flow, tunnel=tunnel)
        except Asked:
            _bare(flow, 407, "say who you are: this proxy asks for a user's name and password")
            if flow.response:
                flow.response.headers["proxy-authenticate"] = self._authentication.challenge
        except Unsettled:
            _bare(flow, 503, "users cannot be checked now: try again in a moment")
        except Exception:
            logger.exception("a hook failed")
            _bare(flow, 403, "stopped: the filter could not check this request")
        else:
            flow.metadata[translate.USER] = who
            if tunnel:
                self.settle(flow.client_conn, who)

    async def _who(self, flow: http.HTTPFlow, *, tunnel: bool) -> Identity | None:
        peer = translate.client_address(flow)
        parent = is_parent(peer, self._trusted)
        client = translate.told(flow, self._trusted)
        headers = flow.request.headers
        names = ["proxy-authorization", *(self._authentication.header.names if self._authentication.header else ())]
        message = said({name.lower(): headers.get_all(name) for name in names}, self._authentication.header)
        who = await self._authentication.identify(client, message, parent=parent)
        if who is not UNKNOWN:
            return who
        self._ask_if_it_matters(flow, client, tunnel=tunnel)
        return None

    def _ask_if_it_matters(self, flow: http.HTTPFlow, client: IPAddress, *, tunnel: bool) -> None:
        if self._point.depends_on_user(flow, client, tunnel=tunnel):
            self._authentication.ask(client)


def _bare(flow: http.HTTPFlow, status: int, text: str) -> None:
    """Answer without waiting for more of a body than is thrown away."""
    handler = ctx.master.addons.get("proxyserver").connections.get(flow.client_conn.id)
    bound_body(handler, flow, 0)
    enforce.bare(flow, status, text)
