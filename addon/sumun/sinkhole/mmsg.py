"""Many datagrams for each system call: recvmmsg(2) and sendmmsg(2), where the platform has them.

The standard library knows neither. Their structures lie in memory that is filled in once; a turn then touches only
what differs from datagram to datagram. An answer is written over its query, whose id it keeps.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any

SLOTS = 64
"""Datagrams for each call; more gained nothing when measured."""
SLOT = 4096
"""Octets of a query that are looked at; the rest is cut off, which makes it malformed."""
STRIDE = SLOT + 128
"""Octets from one slot to the next: not a power of two, which would put all queries into the same lines of a cache."""
NAME = 32
"""Octets kept for an address: struct sockaddr_in6 has 28."""
CONTROL = 64
"""Octets kept for one in_pktinfo or in6_pktinfo, with its header."""
_CONTROL_HEADER = 16
_IFINDEX_4, _IFINDEX_6 = _CONTROL_HEADER, _CONTROL_HEADER + 16
_WORD = 8
_HEADER = 64
"""Octets of struct mmsghdr: a msghdr of 56 and the length received."""
_HEADER_WORDS = _HEADER // _WORD
_CONTROL_LENGTH_WORD = 5
_LENGTH_HALF = 14
"""Where msg_len lies, counted in half words."""


class _Header(ctypes.Structure):
    """``struct mmsghdr`` of recvmmsg(2) on Linux with 64-bit words."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("received", ctypes.c_uint32),
        ("more_padding", ctypes.c_int),
    )


def _library() -> Any:
    """The C library, called without letting go of the interpreter: a call never waits, and is over in microseconds."""
    if sys.platform != "linux" or ctypes.sizeof(ctypes.c_void_p) != _WORD or ctypes.sizeof(_Header) != _HEADER:
        return None
    library = ctypes.PyDLL(None, use_errno=True)
    return library if hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg") else None


_LIBC = _library()
AVAILABLE = _LIBC is not None


class Datagrams:
    """Room for one turn: the queries that came, and the answers that take their places.

    ``with_destinations``: the socket tells where a query came to, and answers leave from there.
    """

    def __init__(self, sock: socket.socket, *, with_destinations: bool) -> None:
        self._fd = sock.fileno()
        self._ipv6 = sock.family == socket.AF_INET6
        self._with_destinations = with_destinations
        self.octets, octets = _memory(SLOTS * STRIDE)
        """Slot ``i`` begins at ``i * STRIDE``; what is answered from there is as long as ``sizes[i]`` says."""
        self.names, self._names = _memory(SLOTS * NAME)
        self._controls, controls = _memory(SLOTS * CONTROL)
        self._inbox, inbox = _memory(SLOTS * _HEADER)
        self._outbox, outbox = _memory(SLOTS * _HEADER)
        self._in_vectors, in_vectors_at = _memory(SLOTS * 2 * _WORD)
        out_vectors, out_vectors_at = _memory(SLOTS * 2 * _WORD)
        self._in_at, self._out_at = inbox, outbox
        outgoing = memoryview(out_vectors).cast("Q")
        self.sizes = outgoing[1::2]
        """Octets of the answer in each slot."""
        self._control_lengths = memoryview(self._inbox).cast("Q")[_CONTROL_LENGTH_WORD::_HEADER_WORDS]
        self._out_control_lengths = memoryview(self._outbox).cast("Q")[_CONTROL_LENGTH_WORD::_HEADER_WORDS]
        self._full_control = memoryview(bytearray(SLOTS * _WORD)).cast("Q")
        self._lengths = memoryview(self._inbox).cast("I")[_LENGTH_HALF :: _HEADER // 4]
        incoming = memoryview(self._in_vectors).cast("Q")
        for i in range(SLOTS):
            incoming[2 * i], incoming[2 * i + 1] = octets + i * STRIDE, SLOT
            outgoing[2 * i] = octets + i * STRIDE
            self._full_control[i] = CONTROL if with_destinations else 0
            for memory, vectors in ((self._inbox, in_vectors_at), (self._outbox, out_vectors_at)):
                header = _Header.from_buffer(memory, i * _HEADER)
                header.name, header.name_length = self._names + i * NAME, 28 if self._ipv6 else 16
                header.iov, header.iov_length = vectors + i * 2 * _WORD, 1
                header.control = controls + i * CONTROL if with_destinations else None
        self._address = struct.Struct("8x16s8x" if self._ipv6 else "4x4s24x")
        """Where the address lies in each of ``names``."""

    def receive(self) -> list[int]:
        """Octets of each query that was waiting, none if none was; raises OSError."""
        self._control_lengths[:] = self._full_control
        count = _LIBC.recvmmsg(self._fd, ctypes.c_void_p(self._in_at), SLOTS, socket.MSG_DONTWAIT, None)
        if count >= 0:
            received: list[int] = self._lengths[:count].tolist()
            return received
        fault = ctypes.get_errno()
        if fault in (errno.EAGAIN, errno.EINTR):
            return []
        raise OSError(fault, os.strerror(fault))

    def clients(self, count: int) -> list[bytes]:
        """The octets of the address of each of the first so many clients."""
        return [client for (client,) in self._address.iter_unpack(self.names[: count * NAME])]

    def send(self, slots: Sequence[int]) -> list[int]:
        """Send the answers in these slots, one or more in ascending order, and say which could not be sent."""
        if self._with_destinations:
            for slot in slots:
                self._out_control_lengths[slot] = self._any_interface(slot)
        unsent: list[int] = []
        for start, end in _runs(slots):
            unsent += self._send_run(start, end)
        return unsent

    def _send_run(self, slot: int, end: int) -> list[int]:
        unsent: list[int] = []
        while slot < end:
            header = ctypes.c_void_p(self._out_at + slot * _HEADER)
            sent = _LIBC.sendmmsg(self._fd, header, end - slot, socket.MSG_DONTWAIT)
            if sent < 0 and ctypes.get_errno() == errno.EINTR:
                continue
            if sent <= 0:
                unsent.append(slot)
            slot += max(sent, 1)
        return unsent

    def peer(self, slot: int) -> tuple[Any, ...]:
        """The client of a slot, as the socket module writes addresses."""
        name = self.names[slot * NAME : slot * NAME + NAME]
        port = int.from_bytes(name[2:4])
        if not self._ipv6:
            return socket.inet_ntop(socket.AF_INET, name[4:8]), port
        return socket.inet_ntop(socket.AF_INET6, name[8:24]), port, 0, int.from_bytes(name[24:28], sys.byteorder)

    def source(self, slot: int) -> list[tuple[int, int, bytes]]:
        """Control data that make an answer leave from where the query of this slot came to (ip(7), ipv6(7))."""
        length = self._any_interface(slot) if self._with_destinations else 0
        if length <= _CONTROL_HEADER:
            return []
        data = self._controls[slot * CONTROL + _CONTROL_HEADER : slot * CONTROL + length]
        if self._ipv6:
            return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, data[:20])]
        return [(socket.IPPROTO_IP, socket.IP_PKTINFO, data[:12])]

    def _any_interface(self, slot: int) -> int:
        """Leave the way back to the routing table, but for link-local addresses; returns the octets of control data."""
        at = slot * CONTROL
        if not self._ipv6:
            self._controls[at + _IFINDEX_4 : at + _IFINDEX_4 + 4] = bytes(4)
        elif self._controls[at + _CONTROL_HEADER : at + _CONTROL_HEADER + 2] != b"\xfe\x80":
            self._controls[at + _IFINDEX_6 : at + _IFINDEX_6 + 4] = bytes(4)
        return self._control_lengths[slot]


def _runs(slots: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where neighbouring slots begin and end; most often there is one run of all."""
    if slots[-1] - slots[0] == len(slots) - 1:
        yield slots[0], slots[-1] + 1
        return
    start = 0
    for at in range(1, len(slots) + 1):
        if at == len(slots) or slots[at] != slots[at - 1] + 1:
            yield slots[start], slots[at - 1] + 1
            start = at


def _memory(size: int) -> tuple[mmap.mmap, int]:
    """Memory whose slices are bytes, and its address."""
    memory = mmap.mmap(-1, size)
    return memory, ctypes.addressof(ctypes.c_char.from_buffer(memory))
