"""What mitmproxy does towards the next proxy: finding it, telling it whose connection it gets, not waiting for ever.

The end of the waiting reaches into mitmproxy's layers, as no hook tells of an open tunnel;
tests/contract/test_mitmproxy.py pins what is used.
"""

from __future__ import annotations

import asyncio
import logging

from mitmproxy import ctx, http, tls
from mitmproxy.connection import Client, Server
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from sumun.model.next_proxy import NextProxy
from sumun.proxy import translate
from sumun.proxy.next_proxy import OfNextProxy, proxy_line, told
from sumun.proxy.origin import Origins
from sumun.proxy.vetted import VettedAddress

logger = logging.getLogger(__name__)


class Onward:
    """An addon, ahead of the one that vets what is dialled."""

    def __init__(self, origins: Origins) -> None:
        """Take what finds addresses."""
        self._origins = origins
        self._opening: dict[str, asyncio.TimerHandle] = {}
        """By the id of a connection to the next proxy: when its time to open a tunnel is over."""

    @property
    def opening(self) -> int:
        """Tunnels that are asked for and not open yet."""
        return len(self._opening)

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        """Find the next proxy: it is the configuration's choice, not a client's, and so not vetted."""
        address = data.server.address
        if address is None or not isinstance(address[0], OfNextProxy):
            return
        how = address[0].how
        try:
            addresses = await self._origins.addresses_of_proxy(how.host)
        except Exception:
            logger.exception("finding the next proxy failed")
            data.server.error = "the next proxy cannot be found"
        else:
            chosen = min(addresses, key=lambda found: found.version)
            data.server.address = VettedAddress.of(chosen, (OfNextProxy.of(how), how.port))

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Say whose connection it is, where the next proxy wants that said first."""
        how = _next_proxy(data.server.address)
        handler = ctx.master.addons.get("proxyserver").connections.get(data.client.id)
        writer = handler.transports[data.server].writer if how and handler else None
        if how and writer is not None and data.server.peername:
            client = translate.address(data.client.peername[0])
            port = data.server.sockname[1] if data.server.sockname else 0
            writer.write(proxy_line(how, client, port, data.server.peername))

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        """Tell the next proxy who we are, and whose tunnel it is to be; mitmproxy itself would wait for ever."""
        client, server = flow.client_conn, flow.server_conn
        if how := _next_proxy(server.address):
            for name, value in told(how, translate.address(client.peername[0])):
                flow.request.headers[name] = value
            loop = asyncio.get_running_loop()
            self._opening[server.id] = loop.call_later(how.timeout, self._give_up, client, server)

    def tls_start_server(self, data: tls.TlsData) -> None:
        """The tunnel is open: TLS with the origin begins in it."""
        for layer in data.context.layers if self._opening else ():
            if isinstance(layer, HttpUpstreamProxy):
                self._forget(layer.tunnel_connection)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        """It has ended in another way."""
        self._forget(data.server)

    def _give_up(self, client: Client, server: Server) -> None:
        """Close it: mitmproxy then answers as for a proxy that breaks off."""
        self._forget(server)
        handler = ctx.master.addons.get("proxyserver").connections.get(client.id)
        found = handler.transports.get(server) if handler else None
        if found and found.writer:
            found.writer.transport.abort()

    def _forget(self, server: Server) -> None:
        if timer := self._opening.pop(server.id, None):
            timer.cancel()


def _next_proxy(address: tuple[str, int] | None) -> NextProxy | None:
    named = address.named if isinstance(address, VettedAddress) else address
    return named[0].how if named and isinstance(named[0], OfNextProxy) else None
