"""The proxy mode ``guard``: our gate in front, mitmproxy behind it, on one listener.

mitmproxy knows the mode by name because the classes below register themselves; the instances are made by
``server.Proxy``, which has what the gate needs.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import Any, Literal

import mitmproxy_rs
from mitmproxy import ctx
from mitmproxy.connection import Address
from mitmproxy.proxy import layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.mode_servers import AsyncioServerInstance, ProxyConnectionHandler, ServerManager
from mitmproxy.proxy.mode_specs import ProxyMode

from sumun.proxy.bounds import WatchedReader
from sumun.proxy.caller import Attend, Busy, Caller
from sumun.proxy.destination import Destination

logger = logging.getLogger(__name__)

BACKLOG = 1024
"""Connections that the kernel keeps until we accept them."""

CALLERS = 8192
"""Connections, of all listeners of a process, that are at the gate or inspected at one time; spliced ones are bounded
by the number of open files alone."""


class GuardMode(ProxyMode):
    """Configured, sinkholed and steered clients, told apart by their first bytes."""

    description = "guard"
    transport_protocol: Literal["tcp", "udp", "both"] = "tcp"

    def __post_init__(self) -> None:
        """Take no data."""
        if self.data:
            raise ValueError("mode takes no arguments")


class GuardInstance(AsyncioServerInstance[GuardMode]):
    """One listener."""

    attend: Attend
    callers: set[Caller]
    reuse_port: bool = False

    @classmethod
    def on(cls, address: Address, manager: ServerManager) -> GuardInstance:
        """Make the instance for a host and a port (0: any)."""
        host, port = address
        mode = GuardMode(full_spec=f"guard@{host}:{port}", data="", custom_listen_host=host, custom_listen_port=port)
        return cls(mode, manager)

    def make_top_layer(self, context: Context) -> Layer:
        """Speak HTTP as a proxy does, where no destination is known."""
        return layers.modes.HttpProxy(context)

    async def listen(
        self, host: str, port: int
    ) -> list[asyncio.Server | mitmproxy_rs.udp.UdpServer | mitmproxy_rs.wireguard.WireGuardServer]:
        """Accept connections for the gate."""

        def accept() -> Caller | Busy:
            return Caller(self.attend, self.callers) if len(self.callers) < CALLERS else Busy()

        server = await asyncio.get_running_loop().create_server(
            accept, host, port, backlog=BACKLOG, reuse_port=self.reuse_port or None
        )
        for each in server.sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # accepted sockets inherit it
        return [server]

    async def hand_over(self, caller: Caller, destination: Destination | None) -> None:
        """Let mitmproxy go on with a connection as if it had accepted it itself.

        With a destination the client believes it speaks to that host, so mitmproxy's transparent layers fit; without
        one it speaks to us, or its Host header tells where to.
        """
        reader, writer = _streams(caller)
        handler = _Handler(reader, writer, self.mode)
        context = handler.layer.context
        if destination:
            context.server.address = (str(destination.host), destination.port)
            handler.layer = layers.modes.TransparentProxy(context)
        else:
            handler.layer = self.make_top_layer(context)
        with self.manager.register_connection(context.client.id, handler):
            await handler.handle_client()


class _Handler(ProxyConnectionHandler):
    """Ends a connection on which mitmproxy's layers failed.

    They would log a traceback and leave the client waiting: request trailers, which are not implemented, do that.
    """

    def __init__(self, reader: WatchedReader, writer: asyncio.StreamWriter, mode: GuardMode) -> None:
        super().__init__(ctx.master, reader, writer, ctx.options, mode)  # type: ignore[no-untyped-call] # mitmproxy leaves it so
        reader.handler = self

    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        if level < logging.ERROR:
            return  # names clients and hosts; events tell what has to be told
        failed = exc_info[1] if isinstance(exc_info, tuple) else sys.exception()
        logger.warning("mitmproxy gave up on a connection: %s", type(failed).__name__)
        writer = self.transports[self.client].writer if self.client in self.transports else None
        if isinstance(writer, asyncio.StreamWriter):
            writer.transport.abort()


def _streams(caller: Caller) -> tuple[WatchedReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = WatchedReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    said = caller.take(protocol)
    protocol.connection_made(caller.transport)
    reader.feed_data(said)
    if caller.ended:
        reader.feed_eof()
    caller.transport.resume_reading()
    return reader, asyncio.StreamWriter(caller.transport, protocol, reader, loop)
