"""Two connections made one: bytes pass both ways as they come, and neither side can fill our memory."""

from __future__ import annotations

import socket
from collections.abc import Callable

from sumun.proxy.watch import BROKEN, LAST, READ, WRITE, Watch

INTERVAL = 30.0
"""Seconds between looks at all tunnels; their limits are counted in these."""
IDLE = 3600.0
"""Seconds without a byte in either direction after which a tunnel is closed; what firewalls commonly allow TCP."""
HALF_CLOSED = 120.0
"""The same, where one side has said its last word: the other one may answer for so long."""
TOTAL = 24 * 3600.0
"""Seconds after which a tunnel is closed: what was decided yesterday need not hold today."""
_SIZE = 256 * 1024
_BUFFER = memoryview(bytearray(_SIZE))
"""INVARIANT: empty whenever a handler returns; what could not be passed on has been copied."""


class Tunnel:
    """Relays from its start on, until either side has done."""

    __slots__ = ("_age", "_client", "_on_closed", "_origin", "_quiet")

    def __init__(
        self,
        watch: Watch,
        client: socket.SocketType,
        origin: socket.SocketType,
        on_closed: Callable[[Tunnel], None],
    ) -> None:
        """Take two connected sockets that do not block."""
        self._client = _End(watch, client, self)
        self._origin = _End(watch, origin, self)
        self._client.peer, self._origin.peer = self._origin, self._client
        self._quiet = self._age = 0
        self._on_closed = on_closed

    def start(self, said: bytes) -> None:
        """Pass on what the client has said so far, then everything."""
        for end in (self._client, self._origin):
            end.watch.take(end.fd, end.on_events)
        if said:
            self._origin.push(memoryview(said))

    def look(self) -> None:
        """Close it if it has been idle, or there, for too long; call it once an interval."""
        client, origin = self._client, self._origin
        self._age += 1
        self._quiet = 0 if client.active or origin.active else self._quiet + 1
        client.active = origin.active = False
        limit = HALF_CLOSED if client.ended or origin.ended else IDLE
        if self._quiet * INTERVAL >= limit or self._age * INTERVAL >= TOTAL:
            self.close()

    def close(self) -> None:
        """Close both sides."""
        if self._client is _NOBODY:
            return
        self._on_closed(self)
        for end in (self._client, self._origin):
            end.ended = end.lost = True  # a handler may still be at work
            end.watch.forget(end.fd)
            end.sock.close()
            end.peer = _NOBODY
        self._client = self._origin = _NOBODY  # no circle is left for the garbage collector


class _End:
    """One end of a tunnel; what it receives goes to its peer.

    INVARIANT: while the peer has a backlog, this end is not read.

    Each change is told once (``watch.STREAM``), so whoever leaves something unread must ask to be told ``again``.
    """

    __slots__ = ("_tunnel", "active", "backlog", "ended", "fd", "lost", "peer", "sock", "watch")

    peer: _End

    def __init__(self, watch: Watch, sock: socket.SocketType, tunnel: Tunnel) -> None:
        self.watch = watch
        self.sock = sock
        self.fd = sock.fileno()
        self.active = True
        """Whether bytes came since the last look."""
        self.ended = False
        """Whether this side has said its last word."""
        self.lost = False
        """Whether its connection is broken."""
        self.backlog = b""
        """What this side has not taken yet."""
        self._tunnel = tunnel

    def on_events(self, events: int) -> None:
        if self.backlog and events & WRITE:
            self._flush()
        if self.ended:
            if events & BROKEN and not self.lost:
                self._lose()
        elif events & READ and not self.peer.backlog:
            self._pull(events)

    def push(self, data: memoryview) -> None:
        """Pass on as much as this side takes, and hold the peer back for the rest."""
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose()
            return
        if sent < len(data):
            self.backlog = bytes(data[sent:])
            self.watch.again(self.fd)

    def _pull(self, events: int) -> None:
        try:
            count = self.sock.recv_into(_BUFFER)
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        if count == 0:
            self._end()
            return
        self.active = True
        self.peer.push(_BUFFER[:count])
        if count == _SIZE or events & LAST:  # epoll(7): anything shorter was all that there was
            self.watch.again(self.fd)

    def _end(self) -> None:
        """Pass the half-close on, and keep this side open for what the peer still sends."""
        self.ended = True
        if self.peer.ended:
            self._tunnel.close()
        else:
            self.peer.say_end()  # a backlog there would have kept us from reading the end

    def say_end(self) -> None:
        try:  # noqa: SIM105 - `suppress` takes three calls more for every tunnel
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # gone already, as its next event will tell

    def _flush(self) -> None:
        try:
            sent = self.sock.send(self.backlog)
        except BlockingIOError:
            return
        except OSError:
            self._lose()
            return
        self.backlog = self.backlog[sent:]
        if self.backlog:
            return
        if self.peer.lost:  # this side had only to be told the rest
            self._tunnel.close()
        else:
            self.watch.again(self.peer.fd)

    def _lose(self) -> None:
        """This side is gone: let the other one take what it is owed, and close."""
        if self.peer.backlog and not self.peer.lost:
            self.lost = self.ended = True
        else:
            self._tunnel.close()


_NOBODY = _End.__new__(_End)
"""Both ends of a tunnel that is closed, and their peer."""
_NOBODY.active, _NOBODY.ended, _NOBODY.lost, _NOBODY.backlog = False, True, True, b""
