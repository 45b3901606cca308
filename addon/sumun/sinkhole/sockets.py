"""The sockets that the sinkhole listens on: bound to one address, or a fault that says what to do."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress

from sumun.config.settings import Listener
from sumun.model.fault import OperatorFault

_BACKLOG = 256
_GUESSES = 16


class CannotListen(OperatorFault):
    """The listener's address cannot be had; the message says why and what to do."""


def pair(listener: Listener, reuse_port: bool) -> tuple[socket.socket, socket.socket]:
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


def stream(listener: Listener, port: int, reuse_port: bool) -> socket.socket:
    """A TCP socket on another port of the same address; raises CannotListen."""
    return _bound(listener, port, socket.SOCK_STREAM, reuse_port)


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
