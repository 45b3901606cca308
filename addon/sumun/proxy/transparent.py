"""Where a connection was going before the firewall led it here (nftables ``redirect`` and ``tproxy``; Linux)."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address

from sumun.config.settings import Leading
from sumun.model.name import plain
from sumun.proxy.destination import Destination

_ORIGINAL_DST = 80
"""SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST, linux/netfilter_ipv4.h and ip6_tables.h."""
_IP_TRANSPARENT = 19
_IPV6_TRANSPARENT = 75
"""linux/in.h, linux/in6.h: accept connections to addresses that are not ours; needs CAP_NET_ADMIN."""


def prepare(listener: socket.socket, leading: Leading) -> None:
    """Make a listener, not bound yet, fit for it; raises OSError."""
    if leading is Leading.TPROXY:
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT, 1)


def original(sock: socket.SocketType, leading: Leading) -> Destination | None:
    """The destination; None: it came straight to us."""
    here = sock.getsockname()
    if leading is Leading.TPROXY:
        return _destination(here[0], here[1])
    with suppress(OSError):  # no translation is known of this connection
        if sock.family == socket.AF_INET6:
            port, packed = struct.unpack_from("!2xH4x16s", sock.getsockopt(socket.IPPROTO_IPV6, _ORIGINAL_DST, 28))
            found = _destination(socket.inet_ntop(socket.AF_INET6, packed), port)
        else:
            port, packed = struct.unpack_from("!2xH4s", sock.getsockopt(socket.IPPROTO_IP, _ORIGINAL_DST, 16))
            found = _destination(socket.inet_ntoa(packed), port)
        return None if found == _destination(here[0], here[1]) else found
    return None


@lru_cache(maxsize=8192)
def _destination(address: str, port: int) -> Destination:
    return Destination(plain(ip_address(address.partition("%")[0])), port)
