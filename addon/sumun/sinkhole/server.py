"""The sinkhole as it runs: one address, UDP and TCP."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from sumun.config.settings import Listener, Settings
from sumun.model.fault import OperatorFault
from sumun.policy.engine import Policy
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.limits import RateLimit
from sumun.sinkhole.local import LocalNames
from sumun.sinkhole.recall import Upstream
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.tally import Attempts, Tally
from sumun.sinkhole.tcp import TcpListener
from sumun.sinkhole.udp import UdpListener
from sumun.telemetry.metrics import Metrics

_DRAIN = 6.0
"""Seconds to answer what is in flight at the end: more than a question to the upstreams may take."""
_LAST_WORDS = 1.0
"""Seconds that TCP clients get to take their last answers."""
_BACKLOG = 256
_GUESSES = 16


class CannotListen(OperatorFault):
    """The listener's address cannot be had; the message says why and what to do."""


class Sinkhole:
    """Answers DNS queries on one address and port, over UDP and TCP."""

    def __init__(  # noqa: PLR0913 - a composition root takes every part by name
        self,
        *,
        settings: Settings,
        policy: Callable[[], Policy],
        events: Attempts,
        metrics: Metrics,
        upstreams: Upstream,
        by_segment: Mapping[str, Upstream] | None = None,
        clock: Callable[[], datetime],
        reuse_port: bool,
    ) -> None:
        self._listener = settings.listen.dns
        self._policy = policy
        self._reuse_port = reuse_port
        resolving = settings.resolving
        self._handler = Handler(
            responder=Responder(policy=policy, pages=settings.listen.pages, names=LocalNames.of(resolving)),
            upstream=upstreams,
            by_segment=by_segment,
            tally=Tally(metrics, events),
            clock=clock,
            limit=RateLimit(resolving.rate_limit, resolving.unlimited) if resolving.rate_limit else None,
        )
        self._udp: UdpListener | None = None
        self._tcp: TcpListener | None = None
        self.port = 0
        """The port that is served, known once started."""

    async def start(self) -> None:
        """Serve from now on; raises CannotListen."""
        address, policy = self._listener.address, self._policy()
        if address.is_unspecified and not policy.segments and policy.unknown_clients is None:
            raise CannotListen(
                f"listening for DNS on `{address}` where no segment has a client serves nobody, but is found by all: "
                "define a segment with its networks, or listen on a specific address"
            )
        udp, tcp = _sockets(self._listener, self._reuse_port)
        self.port = udp.getsockname()[1]
        self._udp, self._tcp = UdpListener(udp, self._handler), TcpListener(tcp, self._handler)
        self._udp.start()
        await self._tcp.start()

    async def stop(self) -> None:
        """Take no more queries, answer those in flight, and close."""
        if self._udp is None or self._tcp is None:
            return
        self._udp.stop_reading()
        self._tcp.stop_reading()
        await self._handler.drain(_DRAIN)
        await self._tcp.close(_LAST_WORDS)
        self._udp.close()
        self._udp = self._tcp = None

    def settle(self) -> None:
        """Hand on what is counted and noted so far; this happens by itself within a moment."""
        self._handler.settle()


def _sockets(listener: Listener, reuse_port: bool) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one port; raises CannotListen. Port 0 means one that is free for both."""
    for _ in range(_GUESSES if listener.port == 0 else 0):
        with suppress(CannotListen):
            return _pair(listener, reuse_port)
    return _pair(listener, reuse_port)


def _pair(listener: Listener, reuse_port: bool) -> tuple[socket.socket, socket.socket]:
    udp = _bound(listener, listener.port, socket.SOCK_DGRAM, reuse_port)
    try:
        tcp = _bound(listener, udp.getsockname()[1], socket.SOCK_STREAM, reuse_port)
    except CannotListen:
        udp.close()
        raise
    return udp, tcp


def _bound(listener: Listener, port: int, kind: socket.SocketKind, reuse_port: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if listener.address.version == 6 else socket.AF_INET, kind)
    try:
        sock.setblocking(False)
        _set_options(sock, listener, kind, reuse_port)
        sock.bind((str(listener.address), port))
        if kind == socket.SOCK_STREAM:
            sock.listen(_BACKLOG)
    except OSError as fault:
        sock.close()
        raise CannotListen(_remedy(listener, port, kind, fault)) from fault
    return sock


def _set_options(sock: socket.socket, listener: Listener, kind: socket.SocketKind, reuse_port: bool) -> None:
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if kind == socket.SOCK_STREAM:  # on UDP this would let another process take the port over
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if listener.address.version == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not listener.address.is_unspecified))


def _remedy(listener: Listener, port: int, kind: socket.SocketKind, fault: OSError) -> str:
    protocol = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
    advice = {
        "EADDRINUSE": f"another program has it (`ss -lnp 'sport = :{port}'` shows which): stop that one",
        "EADDRNOTAVAIL": "no interface of this host has the address: correct it",
        "EACCES": "ports below 1024 need privilege: grant CAP_NET_BIND_SERVICE",
    }.get(errno.errorcode.get(fault.errno or 0, ""), "correct the address")
    where = f"listening for DNS on `{listener.address}` port {port} ({protocol})"
    return f"{where}: {fault.strerror}: {advice}, or change `listen.dns`"
