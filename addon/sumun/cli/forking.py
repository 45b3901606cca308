"""A zygote's own side: fork a process for each order, and tell the supervisor its id.

That is a worker, or the zygote of a role: those have one before them that has loaded what all roles need. A process is
forked twice over, so that its parent ends at once and the supervisor takes it for its own (``child``). It goes to work
only once its id is with the supervisor: whoever dies in between, none serves that nobody knows of.

Nothing may run beside the forking thread, and no event loop: a fork copies locks that other threads hold, and nobody
to release them. What a process must not share with its brothers it makes after the fork: sockets, loops, secrets
(``random`` seeds itself anew, ``secrets`` asks the kernel each time).
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_AT_MOST = 64
"""Octets of a message."""
_ARG_START = 45
"""Place of `arg_start` in /proc/self/stat behind the name, proc_pid_stat(5); `arg_end` follows."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a forked process is told when it begins."""

    name: str
    """Which it is: a zygote's role, a worker's index."""
    files: tuple[int, ...]
    """Descriptors that are its own."""


def forked(orders: socket.socket) -> Order | None:
    """Fork for each order; returns in each new process with its order, in the zygote with None at the end.

    The end is the supervisor's, whose signals alone count: those that a service manager or a terminal sends to every
    process are ignored here. Raises RuntimeError if there are other threads.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while True:
        if (threads := _threads()) != 1:
            raise RuntimeError(f"{threads} threads run here: workers can be forked from a single one only")
        message, files, _flags, _address = socket.recv_fds(orders, _AT_MOST, 2, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return None
        try:
            if _is_forked(orders):
                return Order(message.decode(), tuple(files))
        except OSError:
            return None  # the supervisor is gone
        for descriptor in files:
            os.close(descriptor)


def _threads() -> int:
    """Those of extension modules, too, where the kernel tells of them."""
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        return threading.active_count()


def _is_forked(orders: socket.socket) -> bool:
    """Fork: whether this is the new process. Raises OSError if the supervisor is gone."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    if not (between := _fork()):
        ours.close()
        orders.close()
        _begin(theirs)
        return True
    theirs.close()
    with ours:
        pid = ours.recv(_AT_MOST) if between > 0 else b""
        if between > 0:
            os.waitpid(between, 0)  # from now on its child is the supervisor's
        orders.send(pid or b"0")
        with suppress(OSError):  # it has ended already, which the supervisor sees
            ours.send(b"begin")
    return False


def _fork() -> int:
    """As ``os.fork``; -1 where there is no room for another process."""
    try:
        return os.fork()
    except OSError as why:
        sys.stderr.write(f"a process could not be forked: {why.strerror}\n")
        return -1


def _begin(zygote: socket.socket) -> None:
    """Become a process of its own: returns in it alone, once it is known."""
    if _fork():
        os._exit(0)  # the one between; if there was no room for another, the end of its socket tells
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with zygote:  # SIGHUP stays ignored until it is heard: what is read from now on is new
            zygote.send(str(os.getpid()).encode())
            known = zygote.recv(_AT_MOST)
    except OSError:
        _give_up()
    if not known:
        _give_up()


def _give_up() -> NoReturn:
    os._exit(1)  # nobody waits for this one, and nothing of the zygote's is its own to clean up


def show_as(words: Sequence[str]) -> None:
    """Let `ps` show this command line, cut where it is longer than that which the process was started with."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = (int(field) for field in fields[_ARG_START : _ARG_START + 2])
        if 0 < start < end:
            line = b"\0".join(os.fsencode(word) for word in words)[: end - start - 1]
            ctypes.memmove(start, line.ljust(end - start, b"\0"), end - start)
