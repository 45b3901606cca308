"""The proxy mode ``guard``: our gate in front, mitmproxy behind it, on one listener.

mitmproxy knows the mode by name because the classes below register themselves; the instances are made by
``server.Proxy``, which has what the gate needs.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import sys
from functools import partial
from typing import Any, Literal

from mitmproxy import ctx
from mitmproxy.connection import Address
from mitmproxy.proxy import layers
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler, ServerInstance, ServerManager
from mitmproxy.proxy.mode_specs import ProxyMode

from sumun.config.settings import Leading
from sumun.model.name import IPAddress
from sumun.model.user import Identity
from sumun.proxy.bounds import is_idle, is_late
from sumun.proxy.caller import Attend, Caller, plain_address
from sumun.proxy.caps import Caps
from sumun.proxy.destination import Destination
from sumun.proxy.hooks import Hooks
from sumun.proxy.listening import BACKLOG, listener
from sumun.proxy.signing_in import SignIn
from sumun.proxy.transparent import original
from sumun.proxy.watch import READ, Watch

logger = logging.getLogger(__name__)

_ACCEPTED = 64
"""Connections accepted in a row, before others have their turn."""
_PAUSE = 0.5
"""Seconds without accepting where the system has no room for more."""


class GuardMode(ProxyMode):
    """Configured, sinkholed and steered clients, told apart by their first bytes."""

    description = "guard"
    transport_protocol: Literal["tcp", "udp", "both"] = "tcp"

    def __post_init__(self) -> None:
        """Take no data."""
        if self.data:
            raise ValueError("mode takes no arguments")


class GuardInstance(ServerInstance[GuardMode]):
    """One listener."""

    attend: Attend
    callers: set[Caller]
    watch: Watch
    caps: Caps
    reuse_port: bool = False
    leading: Leading | None = None
    """For connections that the firewall leads here."""
    is_proxy: bool = False
    """Whether clients come here that are configured to."""
    signing_in: SignIn | None = None
    """Learns whose connection is handed over; None where nobody is asked."""
    _hooks: Hooks
    _listening: socket.socket | None = None
    _here: IPAddress | None = None
    """Where clients arrive, if it can be one address only: then no connection need be asked."""

    @classmethod
    def on(cls, address: Address, manager: ServerManager) -> GuardInstance:
        """Make the instance for a host and a port (0: any)."""
        host, port = address
        mode = GuardMode(full_spec=f"guard@{host}:{port}", data="", custom_listen_host=host, custom_listen_port=port)
        return cls(mode, manager)

    def make_top_layer(self, context: Context) -> Layer:
        """Speak HTTP as a proxy does, where no destination is known."""
        return layers.modes.HttpProxy(context)

    @property
    def is_running(self) -> bool:
        """Whether connections are accepted."""
        return self._listening is not None

    @property
    def listen_addrs(self) -> tuple[Address, ...]:
        """Where; one address at most."""
        return (self._listening.getsockname(),) if self._listening else ()

    async def _start(self) -> None:
        host, port = self.mode.listen_host(""), self.mode.listen_port(0)
        self._listening = listener(str(host), port or 0, self.leading, reuse_port=self.reuse_port)
        self._hooks = Hooks(ctx.master.addons)
        here = plain_address(self._listening.getsockname()[0])
        self._here = None if here.is_unspecified or self.leading else here
        self.watch.add(self._listening.fileno(), READ, self._accept)

    async def _stop(self) -> None:
        if self._listening:
            for _ in range(BACKLOG // _ACCEPTED):  # who has come in time is served
                self._accept(READ)
            self.watch.drop(self._listening.fileno())
            self._listening.close()
            self._listening = None

    def _accept(self, _: int) -> None:
        listening = self._listening
        if listening is None:
            return
        family = listening.family
        for _ in range(_ACCEPTED):
            try:
                sock, address = _accepted(listening, family)
            except BlockingIOError:
                return
            except OSError as error:
                self._cannot_accept(error)
                return
            if self.caps.admit(address[0], len(self.callers)):
                self._begin(sock, address[0])
            else:
                sock.close()

    def _begin(self, sock: socket.SocketType, client: str) -> None:
        caller = Caller(
            self.watch, sock, plain_address(client), self._here or plain_address(sock.getsockname()[0]), client
        )
        if self.leading:
            caller.original = original(sock, self.leading)
        caller.begin(self.attend, self._over)
        if not caller.over:
            self.callers.add(caller)

    def _over(self, caller: Caller) -> None:
        self.callers.discard(caller)
        if not caller.has_opened:
            self.caps.opened(caller.came_from)
        if not caller.is_spliced:
            self.caps.gone(caller.came_from)

    def begin_inside(self, sock: socket.socket, client: IPAddress, here: IPAddress, who: Identity | None) -> None:
        """Attend to what comes out of TLS that ended before us; ``who``: its certificate says so."""
        if not self.caps.admit(str(client), len(self.callers)):
            sock.close()
            return
        caller = Caller(self.watch, sock, client, here, str(client))
        caller.who, caller.asked = who, who is not None
        caller.begin(self.attend, self._over)
        if not caller.over:
            self.callers.add(caller)

    def _cannot_accept(self, error: OSError) -> None:
        """Wait for better times: out of descriptors or memory, the connection would be told of again at once."""
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            return  # this connection has gone
        logger.error("cannot accept connections: %s", (error.strerror or str(error)).lower())
        listening = self._listening
        if listening:
            self.watch.drop(listening.fileno())
            asyncio.get_running_loop().call_later(_PAUSE, self._accept_again, listening)

    def _accept_again(self, listening: socket.socket) -> None:
        if listening is self._listening:
            self.watch.add(listening.fileno(), READ, self._accept)

    async def hand_over(self, caller: Caller, destination: Destination | None) -> None:
        """Let mitmproxy go on with a connection as if it had accepted it itself.

        With a destination the client believes it speaks to that host, so mitmproxy's transparent layers fit; without
        one it speaks to us, or its Host header tells where to.
        """
        reader, writer = await _streams(caller)
        handler = _Handler(reader, writer, self.mode, self._hooks)
        context = handler.layer.context
        context.client.peername = (str(caller.client), *context.client.peername[1:])  # as a parent told, maybe
        if self.signing_in and caller.asked:
            self.signing_in.settle(context.client, caller.who)
        elif self.signing_in and self.is_proxy and not destination:
            self.signing_in.may_ask(context.client)
        if destination:
            context.server.address = (str(destination.host), destination.port)
            handler.layer = layers.modes.TransparentProxy(context)
        else:
            handler.layer = self.make_top_layer(context)
        caller.is_idle, caller.is_late = (
            partial(is_idle, handler),
            partial(is_late, handler, asyncio.get_running_loop().time()),
        )
        with self.manager.register_connection(context.client.id, handler):
            try:
                await handler.handle_client()
            finally:
                handler.close_what_is_left()


class _Handler(ProxyConnectionHandler):
    """Ends a connection on which mitmproxy's layers failed.

    They would log a traceback and leave the client waiting.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: GuardMode, hooks: Hooks
    ) -> None:
        super().__init__(ctx.master, reader, writer, ctx.options, mode)  # type: ignore[no-untyped-call] # mitmproxy leaves it so
        self._hooks = hooks

    async def handle_hook(self, hook: StartHook) -> None:
        """Call the addons; mitmproxy's own way of it takes longer."""
        with self.timeout_watchdog.disarm():
            await self._hooks.run(hook)

    def close_what_is_left(self) -> None:
        """Close what mitmproxy forgets: an upstream connection that was made just as the client went away."""
        for io in self.transports.values():
            if io.writer:
                io.writer.close()

    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        if level < logging.ERROR:
            return  # names clients and hosts; events tell what has to be told
        failed = exc_info[1] if isinstance(exc_info, tuple) else sys.exception()
        logger.warning("mitmproxy gave up on a connection: %s", type(failed).__name__)
        writer = self.transports[self.client].writer if self.client in self.transports else None
        if isinstance(writer, asyncio.StreamWriter):
            writer.transport.abort()


async def _streams(caller: Caller) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    sock, said = caller.release()
    caller.watch.drop(sock.fileno())  # asyncio watches it from here on
    sock = socket.socket(fileno=sock.detach())
    reader.feed_data(said)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    caller.transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock)
    made = _PairWriter if sock.family == socket.AF_UNIX else asyncio.StreamWriter
    writer = made(caller.transport, protocol, reader, loop)
    if isinstance(writer, _PairWriter):
        writer.addresses = {"peername": (str(caller.client), 0), "sockname": (str(caller.here), 0)}
    return reader, writer


class _PairWriter(asyncio.StreamWriter):
    """Writes to a pair of sockets behind our own TLS, which has no addresses of its own."""

    addresses: dict[str, tuple[str, int]]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Say between whom it is, as a connection would."""
        return self.addresses.get(name) or super().get_extra_info(name, default)


def _accepted(listening: socket.socket, family: int) -> tuple[socket.SocketType, tuple[str, int]]:
    """Accept without the standard library's wrapper, which asks the kernel for what is known."""
    fd, address = listening._accept()  # type: ignore[attr-defined] # what socket.accept itself calls
    sock = socket.SocketType(family, socket.SOCK_STREAM, 0, fd)
    sock.setblocking(False)
    return sock, address
