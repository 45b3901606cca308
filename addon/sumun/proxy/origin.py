"""The way to an origin: its addresses, vetted, and the connection to one of them."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import replace

from sumun.model.name import IPAddress
from sumun.proxy.destination import Destination, Vetting, usable
from sumun.proxy.ports import Resolver
from sumun.proxy.watch import WRITE, Watch
from sumun.upstream.errors import UpstreamError

DIAL_TIME = 8.0
"""Seconds an address has to answer."""
DIALS = 3
"""Addresses of one name that are tried."""
VETTED = 8192
"""Answers of the vetting that are remembered."""
PATIENCE = 0.25
"""Seconds until the next address is tried beside those that have not answered (RFC 8305, 8: 250 ms)."""
_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


class NoWay(Exception):
    """There is no connection to be had; the message is for the user."""


class Forbidden(NoWay):
    """The destination may not be dialled."""


class Unreachable(NoWay):
    """The destination has no address, or does not answer."""


class Origins:
    """Finds and dials origins by the rules of this host."""

    def __init__(self, resolver: Resolver, vetting: Vetting) -> None:
        self._resolver = resolver
        self._vetting = vetting
        self._vetted: dict[tuple[tuple[IPAddress, ...], int, IPAddress | None], tuple[tuple[IPAddress, ...], str]] = {}
        """What the vetting said, which depends on nothing else."""

    def protect(self, listeners: Iterable[tuple[IPAddress, int]]) -> None:
        """Never dial these either: listeners that were opened on a port of the system's choice."""
        self._vetting = replace(self._vetting, own=self._vetting.own | frozenset(listeners))
        self._vetted.clear()

    async def addresses(self, destination: Destination, *, here: IPAddress | None = None) -> tuple[IPAddress, ...]:
        """The addresses that may be dialled, at least one; raises NoWay."""
        found = await self._resolved(destination)
        key = found, destination.port, here
        if key not in self._vetted:
            if len(self._vetted) >= VETTED:
                self._vetted.clear()
            self._vetted[key] = usable(self._vetting, found, destination.port, here=here)
        good, why = self._vetted[key]
        if good:
            return good
        raise Forbidden(why) if found else Unreachable(f"`{destination.host}`: {why}")

    @property
    def has_internal(self) -> bool:
        """Whether the configuration names any internal range."""
        return bool(self._vetting.internal)

    def are_internal(self, addresses: Iterable[IPAddress]) -> bool:
        """Whether the configuration names all of them as internal: they may be reached by address, on any port."""
        return all(any(address in network for network in self._vetting.internal) for address in addresses)

    async def _resolved(self, destination: Destination) -> tuple[IPAddress, ...]:
        if destination.name is None:
            return (destination.address,) if destination.address else ()
        try:
            return await self._resolver.addresses(destination.name)
        except UpstreamError as error:
            raise Unreachable(f"`{destination.host}` cannot be resolved: {error}") from error


async def dial(watch: Watch, addresses: tuple[IPAddress, ...], port: int) -> socket.SocketType:
    """Connect to one of these vetted addresses; raises Unreachable.

    The next one is tried when one fails, or has not answered for a moment, and the first to answer is taken
    (RFC 8305, Happy Eyeballs).
    """
    dialling = _Dialling(watch, addresses[:DIALS], port)
    try:
        return await dialling.connected
    except asyncio.CancelledError:
        dialling.part()
        raise
    finally:
        dialling.stop()


class _Dialling:
    """Attempts under way, the first of which to succeed settles ``connected``."""

    def __init__(self, watch: Watch, addresses: tuple[IPAddress, ...], port: int) -> None:
        self.connected: asyncio.Future[socket.SocketType] = asyncio.get_running_loop().create_future()
        self._watch = watch
        self._left = list(reversed(addresses))
        self._port = port
        self._pending: set[socket.SocketType] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._why = "no address"
        self._next()

    def stop(self) -> None:
        """Give up what is still under way."""
        if self._timer:
            self._timer.cancel()
        for sock in self._pending:
            self._watch.forget(sock.fileno())
            sock.close()
        self._pending.clear()

    def part(self) -> None:
        """Close what nobody will take any more."""
        if self.connected.done() and not self.connected.cancelled() and not self.connected.exception():
            sock = self.connected.result()
            self._watch.forget(sock.fileno())
            sock.close()

    def _next(self) -> None:
        """Begin with the next address; give up when there is none and nothing is under way."""
        if self._timer:
            self._timer.cancel()
        while self._left:
            if self._begin(self._left.pop()):
                break
        if self.connected.done():
            return
        if not self._pending:
            self.connected.set_exception(Unreachable(f"port {self._port} cannot be reached: {self._why}"))
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(PATIENCE, self._next) if self._left else loop.call_later(DIAL_TIME, self._late)

    def _begin(self, address: IPAddress) -> bool:
        sock = socket.SocketType(socket.AF_INET if address.version == 4 else socket.AF_INET6, _STREAM)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = sock.connect_ex((str(address), self._port))
        if error not in (0, errno.EINPROGRESS):
            self._fail(sock, error)
            return False
        self._pending.add(sock)
        self._watch.add(sock.fileno(), WRITE, lambda _: self._look(sock))
        return True

    def _look(self, sock: socket.SocketType) -> None:
        self._pending.discard(sock)
        if error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._watch.forget(sock.fileno())
            self._fail(sock, error)
            if not self.connected.done():
                self._next()
        else:
            self._take(sock)

    def _take(self, sock: socket.SocketType) -> None:
        if self.connected.done():  # another was faster, or nobody waits any more
            self._watch.forget(sock.fileno())
            sock.close()
        else:
            self._watch.take(sock.fileno(), WRITE, _ignore)  # its taker goes on in the loop's next round
            self.connected.set_result(sock)

    def _fail(self, sock: socket.SocketType, error: int) -> None:
        sock.close()
        self._why = os.strerror(error).lower()

    def _late(self) -> None:
        if not self.connected.done():
            self.connected.set_exception(Unreachable(f"port {self._port} cannot be reached: no answer"))


def _ignore(_: int) -> None:
    pass
