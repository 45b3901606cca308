"""Where the proxy listens, and why it cannot."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

from sumun.config.settings import Leading, Settings
from sumun.model.fault import OperatorFault
from sumun.proxy.transparent import prepare

BACKLOG = 1024
"""Connections that the kernel keeps until we accept them."""


class ProxyFault(OperatorFault):
    """The proxy cannot start; the message says what to do about it."""


def listeners(settings: Settings) -> Iterator[tuple[str, int, Leading | None]]:
    """Address, port and how connections are led there; the proxy's own first."""
    listen = settings.listen
    yield str(listen.proxy.address), listen.proxy.port, None
    for address in (*listen.pages.addresses, *listen.pages.further):
        yield str(address), listen.pages.http, None
        yield str(address), listen.pages.https, None
    if transparent := listen.transparent:
        yield str(transparent.address), transparent.port, transparent.leading


def listener(host: str, port: int, leading: Leading | None, *, reuse_port: bool) -> socket.socket:
    """Open a listener; raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # accepted sockets inherit these
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if leading:
            prepare(sock, leading)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def need_free(settings: Settings) -> None:
    """See to it that nobody else listens there; raises ProxyFault."""
    tls = settings.listen.proxy_tls
    further = [(str(tls.address), tls.port, None)] if tls else []
    for host, port, leading in (*listeners(settings), *further):
        try:
            listener(host, port, leading, reuse_port=False).close()
        except OSError as error:
            raise ProxyFault(why_not(error, host, port)) from error


def why_not(error: OSError, host: str, port: int) -> str:
    """What to do about it."""
    remedy = {
        errno.EADDRINUSE: f"another program listens there (`ss -ltnp 'sport = :{port}'` names it): "
        "stop it, or choose another port under `listen`",
        errno.EACCES: "ports below 1024 need a privilege: run as a service with CAP_NET_BIND_SERVICE, "
        "or choose a higher port under `listen`",
        errno.EADDRNOTAVAIL: "the address belongs to no interface of this host: correct it under `listen`",
    }.get(error.errno or 0, (error.strerror or str(error)).lower())
    return f"cannot listen on `{host}` port `{port}`: {remedy}"
