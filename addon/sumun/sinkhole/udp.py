"""The UDP side: many datagrams for each turn of the event loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any

from sumun.model.name import IPAddress, plain
from sumun.sinkhole.handler import Handler

_BATCH = 64
"""Datagrams read before other work of the event loop gets its turn."""
_MAX_DATAGRAM = 4096
"""Octets of a query that are looked at; the rest is cut off, which makes it malformed."""
_BUFFER = 4 * 1024 * 1024
"""Octets asked of the kernel for waiting datagrams, so that a burst is not lost while a policy is exchanged."""
_CONTROL = socket.CMSG_SPACE(20)
"""Octets for the larger of in_pktinfo and in6_pktinfo."""


class UdpListener:
    """Reads queries from a bound socket and sends the answers from the address that was asked."""

    def __init__(self, sock: socket.socket, handler: Handler) -> None:
        self._sock = sock
        self._handler = handler
        self._wildcard = ip_address(sock.getsockname()[0]).is_unspecified
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        if self._wildcard:
            _ask_for_destinations(sock)

    def start(self) -> None:
        """Serve from now on."""
        asyncio.get_running_loop().add_reader(self._sock, self._on_readable)

    def stop_reading(self) -> None:
        """Take up what has arrived, then no more."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._on_readable()

    def close(self) -> None:
        """Close the socket; answers that come later are lost."""
        self._sock.close()

    def _on_readable(self) -> None:
        with suppress(BlockingIOError, InterruptedError, ConnectionError):
            for _ in range(_BATCH):
                if self._wildcard:
                    wire, control, _flags, peer = self._sock.recvmsg(_MAX_DATAGRAM, _CONTROL)
                    source = _source(control)
                else:
                    wire, peer = self._sock.recvfrom(_MAX_DATAGRAM)
                    source = []
                self._handler.handle(wire, client_address(peer[0]), "udp", partial(self._send, peer, source))

    def _send(self, peer: Any, source: list[tuple[int, int, bytes]], reply: bytes | None) -> None:
        """Send at once or not at all: a client whose path is full asks again."""
        if reply is None:
            return
        with suppress(OSError):
            if source:
                self._sock.sendmsg([reply], source, 0, peer)
            else:
                self._sock.sendto(reply, peer)


@lru_cache(maxsize=16_384)
def client_address(text: str) -> IPAddress:
    """A peer's address, an IPv4 one also where it came in through an IPv6 socket."""
    return plain(ip_address(text.partition("%")[0]))


def _ask_for_destinations(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_PKTINFO, 1)


def _source(control: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """Control data that make the answer leave from the address the query came to (ip(7), ipv6(7))."""
    for level, kind, data in control:
        if (level, kind) == (socket.IPPROTO_IP, socket.IP_PKTINFO):
            return [(level, kind, bytes(4) + data[4:8] + bytes(4))]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            link_local = data.startswith(b"\xfe\x80")  # only there the interface is a part of the address
            return [(level, kind, data if link_local else data[:16] + bytes(4))]
    return []
