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
from collections.abc import Callable
from functools import partial
from types import CoroutineType
from typing import Any, Literal

from mitmproxy import ctx
from mitmproxy.addonmanager import traverse
from mitmproxy.connection import Address
from mitmproxy.exceptions import AddonHalt
from mitmproxy.master import Master
from mitmproxy.proxy import layers
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler, ServerInstance, ServerManager
from mitmproxy.proxy.mode_specs import ProxyMode

from sumun.config.settings import Leading
from sumun.model.name import IPAddress
from sumun.proxy.bounds import is_idle, is_late
from sumun.proxy.caller import Attend, Caller, plain_address
from sumun.proxy.caps import Caps
from sumun.proxy.destination import Destination
from sumun.proxy.listening import BACKLOG, listener
from sumun.proxy.transparent import original
from sumun.proxy.watch import READ, Watch

logger = logging.getLogger(__name__)

_ACCEPTED = 64
"""Connections accepted in a row, before others have their turn."""
_PAUSE = 0.5
"""Seconds without accepting where the system has no room for more."""


type _Hook = Callable[[Any], object]
"""What an addon does at one kind of event; it may be a coroutine function."""


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
    _hooks: dict[str, tuple[_Hook, ...]]
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
        self._hooks = {}
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
            await handler.handle_client()


class _Handler(ProxyConnectionHandler):
    """Ends a connection on which mitmproxy's layers failed.

    They would log a traceback and leave the client waiting.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        mode: GuardMode,
        hooks: dict[str, tuple[_Hook, ...]],
    ) -> None:
        super().__init__(ctx.master, reader, writer, ctx.options, mode)  # type: ignore[no-untyped-call] # mitmproxy leaves it so
        self._hooks = hooks

    async def handle_hook(self, hook: StartHook) -> None:
        """Call the addons that have this hook.

        mitmproxy looks for them anew at every hook of every request, and again for its hook ``update``, which was a
        sixth of a block page. Here they stay the same, and none of them holds a flow up.
        """
        calls = self._hooks.get(hook.name)
        if calls is None:
            calls = self._hooks[hook.name] = _calls(self.master, hook.name)
        with self.timeout_watchdog.disarm():
            (data,) = hook.args()
            for call in calls:
                try:
                    if isinstance(waiting := call(data), CoroutineType):
                        await waiting
                except AddonHalt:
                    break
                except Exception:
                    logger.exception("a hook failed")

    def log(self, message: str, level: int = logging.INFO, exc_info: Any = None) -> None:
        if level < logging.ERROR:
            return  # names clients and hosts; events tell what has to be told
        failed = exc_info[1] if isinstance(exc_info, tuple) else sys.exception()
        logger.warning("mitmproxy gave up on a connection: %s", type(failed).__name__)
        writer = self.transports[self.client].writer if self.client in self.transports else None
        if isinstance(writer, asyncio.StreamWriter):
            writer.transport.abort()


def _calls(master: Master, name: str) -> tuple[_Hook, ...]:
    """The hooks of this name, in the order of the addons, each before its children."""
    found = (getattr(addon, name, None) for addon in traverse(master.addons.chain))
    return tuple(call for call in found if call)


async def _streams(caller: Caller) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    sock, said = caller.release()
    caller.watch.drop(sock.fileno())  # asyncio watches it from here on
    sock = socket.socket(fileno=sock.detach())
    reader.feed_data(said)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    caller.transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock)
    return reader, asyncio.StreamWriter(caller.transport, protocol, reader, loop)


def _accepted(listening: socket.socket, family: int) -> tuple[socket.SocketType, tuple[str, int]]:
    """Accept without the standard library's wrapper, which asks the kernel for what is known."""
    fd, address = listening._accept()  # type: ignore[attr-defined] # what socket.accept itself calls
    sock = socket.SocketType(family, socket.SOCK_STREAM, 0, fd)
    sock.setblocking(False)
    return sock, address
