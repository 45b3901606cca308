"""mitmproxy's servers for HTTP/1 and HTTP/2, made strict: what could be read in two ways is not read at all.

They also bound what mitmproxy does not, say no in our own words, and leave out trailers where nobody takes them.
Reaches into mitmproxy's layers, which no hook shows; tests/contract/test_mitmproxy.py pins what is used.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from h11._readers import ChunkedReader
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, NextLayer
from mitmproxy.proxy.layers.http import HttpLayer
from mitmproxy.proxy.layers.http._events import HttpEvent, ResponseProtocolError, ResponseTrailers
from mitmproxy.proxy.layers.http._http1 import Http1Server
from mitmproxy.proxy.layers.http._http2 import Http2Server

from sumun.proxy.hygiene import Flaw, early_flaw, head_flaw
from sumun.proxy.trailers import PlainChunks

HEAD = 64 * 1024
"""Octets of an HTTP/1 request head; nginx and Apache take 8 to 32 KiB. (HTTP/2 has a bound of its own.)"""
_AHEAD = 64 * 1024
"""Octets that a client may send before it has the answer to its last request."""
_END = b"\r\n\r\n"
_SAID = {
    400: ("Bad Request", "refused: the request is malformed"),
    413: ("Content Too Large", "refused: the request is too large"),
    431: ("Request Header Fields Too Large", "refused: the head of the request is too large"),
    502: ("Bad Gateway", "the server could not be reached, or made no sense"),
}

type Refused = Callable[[Context, Flaw], None]
"""Told of a request that is not acted on."""


class Strictness:
    """An addon that puts these servers into every connection; it comes after whoever chooses the layers."""

    def __init__(self, refused: Refused, *, head: int = HEAD) -> None:
        """``head``: octets that a request head may have."""
        self._refused = refused
        self._head = head

    def next_layer(self, layer: NextLayer) -> None:
        """Give a layer its server before it would make one itself."""
        chosen = layer.layer
        if not isinstance(chosen, HttpLayer):
            return
        context = chosen.context
        if context.client.alpn == b"h2":
            chosen.connections.setdefault(context.client, StrictHttp2(context.fork()))
        else:
            chosen.connections.setdefault(context.client, StrictHttp1(context.fork(), self._refused, self._head))


class StrictHttp1(Http1Server):
    """Refuses a head before mitmproxy reads it."""

    def __init__(self, context: Context, refused: Refused, head: int = HEAD) -> None:
        super().__init__(context)
        self._refused = refused
        self._head = head
        self._begun = math.inf
        """When a head began that is not whole yet, on the monotonic clock."""

    def is_late(self, before: float) -> bool:
        """Whether a head was begun before this time, and is not whole yet."""
        return self._begun < before

    def read_headers(self, event: events.ConnectionEvent) -> CommandGenerator[None]:
        """Read a head that has no flaw."""
        if not isinstance(event, events.DataReceived):
            yield from super().read_headers(event)
            return
        said = bytes(self.buf)
        while said.startswith(b"\r\n"):  # RFC 9112, 2.2: some send an empty line after a body
            self.buf.maybe_extract_at_most(2)
            said = said[2:]
        end = said.find(_END)
        self._begun = min(self._begun, asyncio.get_running_loop().time()) if said and end < 0 else math.inf
        flaw = head_flaw(said[: end + len(_END)]) if end >= 0 else early_flaw(said)
        if flaw:
            self._refused(self.context, flaw)
            yield from self._refuse(400, f"refused: {flaw}")
        elif end > self._head or (end < 0 and len(said) > self._head):
            yield from self._refuse(431)
        else:
            yield from self._in_our_words(super().read_headers(event))

    def read_body(self, event: events.Event) -> CommandGenerator[None]:
        """Read a body; what stays unread is the head of a chunk, or trailers, and bounded as well."""
        if type(self.body_reader) is ChunkedReader:
            self.body_reader = PlainChunks()
        yield from super().read_body(event)
        if self.state == self.read_body and len(self.buf) > self._head:
            yield commands.CloseConnection(self.conn)
            self.state = self.done

    def wait(self, event: events.Event) -> CommandGenerator[None]:
        """Keep what the client says before it is answered, within reason."""
        if len(self.buf) > _AHEAD:
            yield commands.CloseConnection(self.conn)
            self.buf.maybe_extract_at_most(len(self.buf))
        yield from super().wait(event)

    def send(self, event: HttpEvent) -> CommandGenerator[None]:
        """Send an answer; trailers are left out, as every proxy may do (RFC 9110, 6.5.1)."""
        if isinstance(event, ResponseTrailers):
            return
        can_answer = not self.response and self.conn.state & ConnectionState.CAN_WRITE
        if isinstance(event, ResponseProtocolError) and can_answer:
            status = event.code.http_status_code()
            if status is not None:
                yield commands.SendData(self.conn, refusal(status))
            yield commands.CloseConnection(self.conn)
            return
        yield from super().send(event)

    def _refuse(self, status: int, why: str = "") -> CommandGenerator[None]:
        yield commands.SendData(self.conn, refusal(status, why))
        yield commands.CloseConnection(self.conn)
        self.state = self.done

    def _in_our_words(self, theirs: CommandGenerator[None]) -> CommandGenerator[None]:
        """While a head is read, nothing is sent but mitmproxy's word on a malformed one."""
        for command in theirs:
            yield commands.SendData(self.conn, refusal(400)) if isinstance(command, commands.SendData) else command


class StrictHttp2(Http2Server):
    """Says no in our own words."""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        status = event.code.http_status_code() if isinstance(event, ResponseProtocolError) else None
        if not isinstance(event, ResponseProtocolError) or status is None or not self._may_answer(event.stream_id):
            yield from super()._handle_event(event)
            return
        fields = [(b":status", b"%d" % status), (b"content-type", b"text/plain; charset=utf-8")]
        self.h2_conn.send_headers(event.stream_id, [*fields, (b"cache-control", b"no-store")])
        self.h2_conn.send_data(event.stream_id, f"{_said(status)[1]}\n".encode(), end_stream=True)
        yield commands.SendData(self.conn, self.h2_conn.data_to_send())

    def _may_answer(self, stream_id: int) -> bool:
        return (
            not self.is_closed(stream_id)
            and self.is_open_for_us(stream_id)
            and not self.h2_conn.streams[stream_id].state_machine.headers_sent
        )


def refusal(status: int, why: str = "") -> bytes:
    """A whole HTTP/1 answer after which the connection is closed."""
    phrase, said = _said(status)
    body = f"{why or said}\n".encode()
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body


def _said(status: int) -> tuple[str, str]:
    return _SAID.get(status, ("Refused", "the request could not be served"))
