"""The way to an origin: its addresses, vetted, and the connection to one of them."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from time import monotonic

from sumun.model.name import DomainName, IPAddress
from sumun.proxy.caller import Caller
from sumun.proxy.destination import Destination, Vetting, usable
from sumun.proxy.ports import Resolver
from sumun.proxy.watch import BROKEN, HUNG_UP, READ, STREAM
from sumun.upstream.errors import UpstreamError

DIAL_TIME = 8.0
"""Seconds an address has to answer."""
DIALS = 3
"""Addresses of one name that are tried."""
VETTED = 8192
"""Answers of the vetting that are remembered."""
LIFE = 1.0
"""Seconds for which a name is not resolved again, whatever its answer allows: a browser opens several connections at
once, and to ask four layers down to the cache of answers costs more than to look here."""
PATIENCE = 0.25
"""Seconds until the next address is tried beside those that have not answered (RFC 8305, 8: 250 ms)."""
_STREAM = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


@dataclass(slots=True)
class _Vetted:
    """What the vetting said of a destination."""

    found: tuple[IPAddress, ...]
    here: IPAddress | None
    good: tuple[IPAddress, ...]
    """Those that may be dialled."""
    why: str
    """Why the others may not."""
    until: float = 0.0
    """When its name has to be resolved again, on the clock of ``monotonic``."""


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
        self._vetted: dict[Destination, _Vetted] = {}
        """What the vetting said last of each, which depends on nothing else than is written there."""

    def protect(self, listeners: Iterable[tuple[IPAddress, int]]) -> None:
        """Never dial these either: listeners that were opened on a port of the system's choice."""
        self._vetting = replace(self._vetting, own=self._vetting.own | frozenset(listeners))
        self._vetted.clear()

    def recalled(self, destination: Destination, *, here: IPAddress | None = None) -> tuple[IPAddress, ...]:
        """The same as ``addresses``, if they were found a moment ago; else none."""
        known = self._vetted.get(destination)
        if known and monotonic() < known.until and (known.here is here or known.here == here):
            return known.good
        return ()

    async def addresses(self, destination: Destination, *, here: IPAddress | None = None) -> tuple[IPAddress, ...]:
        """The addresses that may be dialled, at least one; raises NoWay."""
        if recalled := self.recalled(destination, here=here):
            return recalled
        known = self._vetted.get(destination)
        found = await self._resolved(destination)
        if known is None or known.found != found or known.here != here:
            if len(self._vetted) >= VETTED:
                self._vetted.clear()
            known = _Vetted(found, here, *usable(self._vetting, found, destination.port, here=here))
            self._vetted[destination] = known
        known.until = monotonic() + LIFE
        if known.good:
            return known.good
        raise Forbidden(known.why) if found else Unreachable(f"`{destination.host}`: {known.why}")

    async def addresses_of_proxy(self, host: DomainName | IPAddress) -> tuple[IPAddress, ...]:
        """Where the next proxy is, which the configuration names: it is not vetted; raises Unreachable."""
        found = await self._resolved(Destination(host, 1))
        if not found:
            raise Unreachable("the next proxy has no address")
        return found

    def vet(self, destination: Destination, *, here: IPAddress | None = None) -> None:
        """What can be said of a destination that another resolves: raises Forbidden for an address literal."""
        literal = destination.address
        if literal and (why := self._vetting.refusal(literal, destination.port, here=here)):
            raise Forbidden(why)

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


async def dial(caller: Caller, addresses: tuple[IPAddress, ...], port: int) -> socket.SocketType:
    """Connect to one of these vetted addresses; raises Unreachable.

    The next one is tried when one fails, or has not answered for a moment, and the first to answer is taken
    (RFC 8305, Happy Eyeballs). The socket is watched already; its taker must ``take`` it at once.
    """
    dialling = _Dialling(caller, addresses[:DIALS], port)
    try:
        if dialling.is_under_way:
            await caller.pause(DIAL_TIME)
    except TimeoutError:
        raise Unreachable(f"port {port} cannot be reached: no answer") from None
    finally:
        dialling.stop()
    if dialling.connected is None:
        raise Unreachable(f"port {port} cannot be reached: {dialling.why}")
    return dialling.connected


class _Dialling:
    """Attempts under way; the caller goes on when the first succeeds or the last has failed."""

    __slots__ = ("_caller", "_left", "_pending", "_port", "_timer", "_watch", "connected", "why")

    def __init__(self, caller: Caller, addresses: tuple[IPAddress, ...], port: int) -> None:
        self.connected: socket.SocketType | None = None
        self.why = "no address"
        self._caller = caller
        self._watch = caller.watch
        self._left = list(reversed(addresses))
        self._port = port
        self._pending: list[socket.SocketType] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next()

    @property
    def is_under_way(self) -> bool:
        return bool(self._pending)

    def stop(self) -> None:
        """Give up what is still under way."""
        if self._timer:
            self._timer.cancel()
        for sock in self._pending:
            self._watch.forget(sock.fileno())
            sock.close()
        self._pending.clear()

    def _next(self) -> None:
        """Begin with the next address that can be tried at all."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._left:
            if self._begin(self._left.pop()):
                break
        if self._left:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._next)

    def _begin(self, address: IPAddress) -> bool:
        sock = socket.SocketType(socket.AF_INET if address.version == 4 else socket.AF_INET6, _STREAM)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = sock.connect_ex((_text(address), self._port))
        if error not in (0, errno.EINPROGRESS):
            self._fail(sock, error)
            return False
        self._pending.append(sock)
        self._watch.add(sock.fileno(), STREAM, partial(self._look, sock))
        return True

    def _look(self, sock: socket.SocketType, events: int) -> None:
        if self.connected:  # and its taker failed before it was taken
            self._watch.forget(sock.fileno())
            sock.close()
            return
        self._pending.remove(sock)
        # a socket with an error says so by its events, which saves asking each one
        if events & (BROKEN | HUNG_UP) and (error := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
            self._watch.forget(sock.fileno())
            self._fail(sock, error)
            self._next()
        else:
            self.connected = sock
            if events & READ:  # a server that speaks first has done so already
                self._watch.again(sock.fileno())
        if self.connected or not self._pending:
            self._caller.go_on()

    def _fail(self, sock: socket.SocketType, error: int) -> None:
        sock.close()
        self.why = os.strerror(error).lower()


_text = lru_cache(maxsize=8192)(str)
"""The text of an address, which ``ipaddress`` makes anew each time."""
