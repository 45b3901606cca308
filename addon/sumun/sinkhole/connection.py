"""One connection of a client, whatever is spoken on it: bounded in time, in octets and in questions."""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol as Port

from sumun.model.name import IPAddress
from sumun.model.parents import SIGNATURE, Unreadable, header
from sumun.sinkhole.secured import Secured
from sumun.sinkhole.udp import client_address

_BUFFER = 65_536
_CLAIMS = (SIGNATURE, b"PROXY ")
"""How somebody begins who says that he speaks for another: no query and no TLS begins so."""


class Session(Port):
    """What is spoken on a connection."""

    def received(self, data: bytes) -> None:
        """Take up what came; what is incomplete is kept."""
        ...

    def proceed(self) -> None:
        """Go on with what was left lying while too many questions were open."""
        ...

    def farewell(self) -> None:
        """Nothing more will be read: say so, where the protocol has words for it."""
        ...


class Host(Port):
    """Who the connections belong to."""

    idle: float
    """Seconds that a connection may stay without a whole question, or answers unread."""
    max_open: int
    """Questions of one connection that are being answered; more are read when one of them is done."""

    def context(self) -> ssl.SSLContext | None:
        """What a new connection is secured with."""
        ...

    def session(self, connection: Connection, agreed: str | None) -> Session:
        """What is spoken, where the handshake agreed on this (ALPN)."""
        ...

    def believes(self, peer: IPAddress) -> bool:
        """Whether this peer may say that it speaks for somebody else."""
        ...

    def admits(self, connection: Connection) -> bool:
        """Whether there is room for one more of its client."""
        ...

    def accused(self, peer: IPAddress) -> None:
        """Somebody who is not believed claimed to be somebody else."""
        ...

    def gone(self, connection: Connection) -> None:
        """The connection is over."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Octets in, octets out.

    What is sent while octets are taken up, or within one turn of the event loop, leaves in one piece. Reading stops
    while too many questions are open and while the client does not read.
    """

    client: IPAddress

    def __init__(self, host: Host, buffer: memoryview) -> None:
        """``buffer`` is shared: it is emptied in the call that says it was filled."""
        self._host, self._buffer = host, buffer
        self._loop = asyncio.get_running_loop()
        self._opening: bytes | None = None
        """What a peer that is believed has said so far, until it is known who the client is."""
        self._tls: Secured | None = None
        self._session: Session | None = None
        self._out: list[bytes] = []
        self._flushing = False
        self._fresh = True
        self._stuck = self._ended = self._closing = False
        self.deadline = self._loop.time() + host.idle
        """When it ends, unless a whole question comes, or unread answers are read."""
        self.open = 0
        """Questions that are being answered."""
        self.full = False
        """Whether no more questions are to be taken up for now."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve, if there is room."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream socket has no other
        self._transport = transport
        transport.set_write_buffer_limits(high=0)  # writing pauses when the kernel takes no more
        peer = transport.get_extra_info("peername")
        if not peer:  # gone already
            transport.abort()
            return
        self.client = client_address(peer[0])
        if not self._host.admits(self):
            transport.abort()
        elif self._host.believes(self.client):
            self._opening = b""
        else:
            self._begin()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the event loop puts what comes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take up what came."""
        data = bytes(self._buffer[:nbytes])
        if self._ended or self._closing:
            return
        if self._opening is not None:
            data = self._introduced(self._opening + data)
        elif self._fresh and data.startswith(_CLAIMS):
            self._host.accused(self.client)
            self.abort()
            return
        self._fresh = False
        if data:
            self._take(data)

    def eof_received(self) -> bool:
        """Answer what is open, then close."""
        if self._closing:
            return False
        self._end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._ended = self._closing = True
        self._host.gone(self)

    def pause_writing(self) -> None:
        """The client does not read; nor do we, until it does or its time is over."""
        self._stuck = True
        self.deadline = self._loop.time() + self._host.idle
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has read."""
        self._stuck = False
        self.renew()
        self._read_on()

    def renew(self) -> None:
        """A whole question came."""
        self.deadline = self._loop.time() + self._host.idle

    def asked(self) -> None:
        """A question is on its way to an answer."""
        self.open += 1
        self.full = self.open >= self._host.max_open
        if self.full:
            self._transport.pause_reading()

    def answered(self) -> None:
        """One of those is answered, or never will be."""
        was_full = self.full
        self.open -= 1
        self.full = self.open >= self._host.max_open
        if was_full and not self._closing and self._session:
            self._session.proceed()
            self._read_on()
        self._settle()

    def send(self, octets: bytes) -> bool:
        """Say something, as soon as this turn is over; False: the connection is closing."""
        if self._closing:
            return False
        self._out.append(octets)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return True

    def stop_reading(self) -> None:
        """Treat the client as done."""
        if self._session and not self._ended:
            self._session.farewell()
        self._end()

    def close(self, *, hear_out: bool = False) -> None:
        """Send what is to be sent, and close.

        ``hear_out``: the client is still talking, and would not see our last word if the connection were reset.
        """
        if self._closing:
            return
        self._flush()
        self._closing = self._ended = True
        self.renew()  # the time that the client has to take it
        if self._tls and self._tls.established:
            self._transport.write(self._tls.farewell())
        if hear_out:
            self._transport.write_eof()  # what still comes is passed over, until the client ends or its time is over
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = self._ended = True
        self._transport.abort()

    def expire(self) -> None:
        """Its time is over: what is open is answered, unless the client does not read."""
        if self._stuck or self._closing or self._session is None:
            self.abort()
        else:
            self.renew()
            self.stop_reading()

    def _introduced(self, data: bytes) -> bytes:
        """Whom a peer that is believed speaks for; what follows the introduction, once it is whole."""
        try:
            found = header(data)
        except Unreadable:
            self.abort()
            return b""
        if found is None:
            self._opening = data
            return b""
        self._opening = None
        if found.client:
            self._host.gone(self)
            self.client = found.client
        if found.client and not self._host.admits(self):
            self.abort()
            return b""
        self._begin()
        return data[found.size :]

    def _begin(self) -> None:
        if context := self._host.context():
            self._tls = Secured(context)
        else:
            self._session = self._host.session(self, None)

    def _take(self, data: bytes) -> None:
        held, self._flushing = self._flushing, True  # what is said meanwhile leaves at the end
        try:
            if self._tls:
                data = self._tls.received(data)
                if self._tls.established and self._session is None:
                    self._session = self._host.session(self, self._tls.protocol)
            if data and self._session:
                self._session.received(data)
        except ssl.SSLError:
            self._broken()
            return
        finally:
            self._flushing = held
        self._flush()
        if self._tls and self._tls.ended:
            self._end()

    def _broken(self) -> None:
        """What came is no TLS, or none that is spoken here: the alert is the last word."""
        self._closing = self._ended = True
        if self._tls:
            self._transport.write(self._tls.pending())
        self._transport.close()

    def _flush(self) -> None:
        self._flushing = False
        if self._closing:
            return
        out = self._tls.send(self._out) if self._tls else b"".join(self._out)
        self._out.clear()
        if out:
            self._transport.write(out)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._transport.pause_reading()
        self._settle()

    def _settle(self) -> None:
        if self._ended and not self.open and not self._closing:
            self.close()

    def _read_on(self) -> None:
        if not (self._stuck or self._ended or self._closing or self.full):
            self._transport.resume_reading()


def buffer() -> memoryview:
    """What the connections of one listener share."""
    return memoryview(bytearray(_BUFFER))
