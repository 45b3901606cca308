"""The UDP side: many datagrams for each turn of the event loop, and where the platform can, for each system call."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Any

from sumun.model.name import IPAddress, plain
from sumun.sinkhole import mmsg
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.mmsg import SLOT, SLOTS, STRIDE, Datagrams
from sumun.sinkhole.outcome import Answer
from sumun.sinkhole.tally import INCIDENT

_TURN = 8
"""Batches served before other work of the event loop gets its turn."""
_BUFFER = 4 * 1024 * 1024
"""Octets asked of the kernel for waiting datagrams, so that a burst is not lost while a policy is exchanged."""
_LOOK_EVERY = 0.5
"""Seconds between two looks at what the kernel threw away."""
_RCVBUFFORCE, _MEMINFO, _DROPS = (33, 55, 8) if sys.platform == "linux" else (-1, -1, 0)
"""SO_RCVBUFFORCE and SO_MEMINFO of Linux, which Python does not name, and where the latter says what was dropped."""
_ALL_SLOTS = range(SLOTS)
_BEGINS = range(2, 2 + SLOTS * STRIDE, STRIDE)
"""Where the octets after the id of each slot begin."""
_CONTROL = socket.CMSG_SPACE(20)
"""Octets for the larger of in_pktinfo and in6_pktinfo."""


class UdpListener:
    """Reads queries from a bound socket and sends the answers from the address that was asked.

    ``batched``: many datagrams for each system call; None: where the platform can.
    """

    def __init__(self, sock: socket.socket, handler: Handler, *, batched: bool | None = None) -> None:
        self._sock = sock
        self._handler = handler
        self._wildcard = ip_address(sock.getsockname()[0]).is_unspecified
        _make_room(sock)
        self._overflowed = _overflowed(sock)
        self._looking: asyncio.TimerHandle | None = None
        if self._wildcard:
            _ask_for_destinations(sock)
        use = mmsg.AVAILABLE if batched is None else batched
        self._datagrams = Datagrams(sock, with_destinations=self._wildcard) if use else None

    def start(self) -> None:
        """Serve from now on."""
        asyncio.get_running_loop().add_reader(self._sock, self._on_readable)
        self._look()

    def stop_reading(self) -> None:
        """Take up what has arrived, then no more."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._on_readable()

    def close(self) -> None:
        """Close the socket; answers that come later are lost."""
        if self._looking is not None:
            self._looking.cancel()
        self._count_overflow()
        self._sock.close()

    def _on_readable(self) -> None:
        with suppress(BlockingIOError, InterruptedError, ConnectionError):
            if self._datagrams is None:
                self._one_by_one()
                return
            for _ in range(_TURN):
                if self._batch(self._datagrams) < SLOTS:
                    return

    def _look(self) -> None:
        self._count_overflow()
        self._looking = asyncio.get_running_loop().call_later(_LOOK_EVERY, self._look)

    def _count_overflow(self) -> None:
        """Count what the kernel threw away because it came faster than it was taken up."""
        before, self._overflowed = self._overflowed, _overflowed(self._sock)
        if times := (self._overflowed - before) % (1 << 32):
            self._handler.overflowed(times)

    def _batch(self, datagrams: Datagrams) -> int:
        """The fast path: answers that are ready, by table look-up; everything else goes to the handler.

        What is done here for each query sets the speed of the sinkhole, so it is written out: find the client's
        table, find the answer to the octets after the id, put it in their place.
        """
        lengths = datagrams.receive()
        if not lengths:
            return 0
        start = time.perf_counter()
        tables, at = self._handler.ready_tables()
        now, octets, sizes, limit = at.timestamp(), datagrams.octets, datagrams.sizes, self._handler.limit
        clients = datagrams.clients(len(lengths))
        answers: list[Answer] = []
        others: list[int] = []
        limited: list[int] = []
        for slot, begin, length, client, table in zip(
            _ALL_SLOTS, _BEGINS, lengths, clients, map(tables.get, clients), strict=False
        ):
            if limit is not None and not limit.admits(client, now):
                limited.append(slot)
                self._handler.limited(client_address(datagrams.peer(slot)[0]))
                continue
            answer = None if table is None else table.get(octets[begin : begin + length - 2])
            if answer is None or (answer.until <= now and not answer.lives(now)):
                others.append(slot)
                continue
            body = answer.body
            size = len(body)
            octets[begin : begin + size] = body
            if answer.incident_at:
                seen, place = answer.seen, begin + answer.incident_at
                octets[place : place + INCIDENT] = (
                    seen.octets if seen and seen.client == client else self._handler.incident(client, answer, at)
                )
            sizes[slot] = size + 2
            answers.append(answer)
        if answers:
            slots, clients = _answered(clients, limited + others)
            unsent = map(slots.index, datagrams.send(slots))
            self._handler.answered(clients, answers, unsent, at, time.perf_counter() - start)
        for slot in others:
            self._hand_over(datagrams, slot, lengths[slot])
        return len(lengths)

    def _hand_over(self, datagrams: Datagrams, slot: int, length: int) -> None:
        peer = datagrams.peer(slot)
        wire = datagrams.octets[slot * STRIDE : slot * STRIDE + length]
        reply = partial(self._send, peer, datagrams.source(slot))
        self._handler.handle(wire, client_address(peer[0]), "udp", reply)

    def _one_by_one(self) -> None:
        for _ in range(_TURN * SLOTS):
            if self._wildcard:
                wire, control, _flags, peer = self._sock.recvmsg(SLOT, _CONTROL)
                source = _source(control)
            else:
                wire, peer = self._sock.recvfrom(SLOT)
                source = []
            client, limit = client_address(peer[0]), self._handler.limit
            if limit is not None and not limit.admits(client.packed, time.monotonic()):
                self._handler.limited(client)
                continue
            self._handler.handle(wire, client, "udp", partial(self._send, peer, source))

    def _send(self, peer: Any, source: list[tuple[int, int, bytes]], reply: bytes | None) -> bool:
        """Send at once or not at all: a client whose path is full asks again."""
        if reply is None:
            return False
        try:
            if source:
                self._sock.sendmsg([reply], source, 0, peer)
            else:
                self._sock.sendto(reply, peer)
        except OSError:
            return False
        return True


def _answered(clients: list[bytes], left_out: list[int]) -> tuple[Sequence[int], list[bytes]]:
    """The slots that are answered, and whom; ``clients`` are those of all slots."""
    if not left_out:
        return range(len(clients)), clients
    slots = sorted({*range(len(clients))}.difference(left_out))
    return slots, [clients[slot] for slot in slots]


def _make_room(sock: socket.socket) -> None:
    """Ask for a larger queue than ``net.core.rmem_max`` allows, which takes privilege, else for what it allows."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _RCVBUFFORCE, _BUFFER)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)


def _overflowed(sock: socket.socket) -> int:
    """Datagrams that found no room in the socket's queue so far; 0 where the platform does not tell."""
    try:
        found = sock.getsockopt(socket.SOL_SOCKET, _MEMINFO, 4 * (_DROPS + 1))
    except OSError:
        return 0
    return int.from_bytes(found[4 * _DROPS :], sys.byteorder)


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
