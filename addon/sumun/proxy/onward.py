"""What mitmproxy does towards the next proxy: finding it, and telling it whose connection it gets."""

from __future__ import annotations

import logging

from mitmproxy import ctx, http
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
        """Tell the next proxy who we are, and whose tunnel it is to be."""
        if how := _next_proxy(flow.server_conn.address):
            for name, value in told(how, translate.address(flow.client_conn.peername[0])):
                flow.request.headers[name] = value


def _next_proxy(address: tuple[str, int] | None) -> NextProxy | None:
    named = address.named if isinstance(address, VettedAddress) else address
    return named[0].how if named and isinstance(named[0], OfNextProxy) else None
