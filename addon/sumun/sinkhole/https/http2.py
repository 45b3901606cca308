"""As much of HTTP/2 (RFC 9113) as a server of short answers needs: octets in, octets out.

A general library takes five times as long for a request as a peer in C does for the whole of it; so what a resolver
has no use for is not here: no push, no priorities, no dynamic table for what we say, no request larger than a query.

Every client can make work here that costs it little (streams opened and reset at once, settings, pings, empty
frames). Each connection has patience for so much of it, and gains some with each request that is answered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sumun.sinkhole.https.fields import MAX_OCTETS, Field, FieldFault, FieldReader, well_formed
from sumun.sinkhole.https.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEAD,
    INITIAL_WINDOW,
    LIST_SIZE,
    MAX_CONCURRENT,
    MAX_FRAME,
    MAX_WINDOW,
    PADDED,
    PREFACE,
    PRIORITY,
    WINDOW,
    Broken,
    Code,
    Kind,
    frame,
    heading,
    pass_over,
    response,
    settings,
    unpadded,
    vet,
    without_priority,
)
from sumun.sinkhole.https.patience import GAIN, Patience
from sumun.sinkhole.https.stream import Request, Stream, Wire

MAX_STREAMS = 100
"""Requests of one connection at a time."""
_MAX_UNSENT = 1 << 20
"""Octets of answers that a client keeps from being sent by its windows."""
_SMALL = 1_000
"""Octets; a client that widens its window by less does so for the sake of the frame."""
_REMEMBERED = 256
"""Streams that were ended before the client had finished; what still comes on them is passed over."""


_OURS = ((MAX_CONCURRENT, MAX_STREAMS), (LIST_SIZE, MAX_OCTETS))
_SETTINGS = frame(Kind.SETTINGS, 0, 0, b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in _OURS))
_FIELDS = int(Kind.HEADERS)  # which compares in half the time
_ACKNOWLEDGED = frame(Kind.SETTINGS, ACK, 0)


class Http2:
    """The server's side of one connection."""

    def __init__(
        self,
        wire: Wire,
        on_request: Callable[[Request], bool | None],
        *,
        max_body: int,
        at_once: Callable[[bytes], tuple[bytes, bytes] | None] = lambda _: None,
    ) -> None:
        """``on_request`` is called for each whole request; ``max_body`` in octets.

        Where it says so, ``at_once`` is called in its place for requests that differ in their path only; it knows the
        block of fields and the body of the answer, or nothing.
        """
        self._wire, self._on_request, self._max_body, self._at_once = wire, on_request, max_body, at_once
        self._alike = False
        """Whether ``at_once`` is to be asked about requests like the one whose fields were read last."""
        self._held = b""
        self._preface = PREFACE
        self._fields = FieldReader()
        self._streams: dict[int, Stream] = {}
        self._ended: dict[int, None] = {}
        self._last = 0
        self._block: tuple[int, int, bytearray] | None = None
        """Stream, flags and octets of fields that go on in the next frame."""
        self._window = self._initial = WINDOW
        self._unsent = 0
        self._unread = 0
        """Octets of bodies that were taken and not yet given back to the client's window."""
        self._patience = Patience()
        self._settled = self._over = False
        wire.send(_SETTINGS)

    def received(self, data: bytes) -> None:
        """Take up the frames that are whole."""
        self._held = self._held + data if self._held else data
        self.proceed()

    def proceed(self) -> None:
        """Take up what is left, as far as it may be."""
        try:
            self._take_up()
        except Broken as fault:
            self._go_away(fault.code)

    def farewell(self) -> None:
        """Tell the client that no more requests are taken, which it may ask elsewhere."""
        if not self._over:
            self._over = True
            self._wire.send(frame(Kind.GOAWAY, 0, 0, self._last.to_bytes(4) + bytes(4)))

    def respond(self, stream: int, head: bytes, body: bytes) -> bool:
        """Answer a request with a block of fields and a body; False: the client does not want it any more."""
        known = self._streams.get(stream)
        if known is None:
            return False
        size = len(body)
        if size <= known.window and size <= self._window and size <= MAX_FRAME and not self._unsent:
            del self._streams[stream]
            return self._say(stream, head, body)
        known.unsent = body
        self._unsent += len(body)
        sent = self._wire.send(frame(Kind.HEADERS, END_HEADERS, stream, head))
        if self._unsent > _MAX_UNSENT:
            self._go_away(Code.ENHANCE_YOUR_CALM)
            return False
        self._send_rest()
        return sent

    def _say(self, stream: int, head: bytes, body: bytes) -> bool:
        """Answer within the windows."""
        self._window -= len(body)
        return self._wire.send(response(stream, head, body))

    def refuse(self, stream: int, head: bytes) -> None:
        """Answer a request without a body, perhaps before it is whole."""
        known = self._streams.get(stream)
        if known is None:
            return
        out = frame(Kind.HEADERS, END_HEADERS | END_STREAM, stream, head)
        if not known.whole:
            self._pass_over(stream)  # a reset would be allowed (RFC 9113, 8.1), but makes curl miss the answer
        del self._streams[stream]
        self._wire.send(out)

    def _take_up(self) -> None:
        held = self._held
        if self._preface:
            if held[: len(PREFACE)] != PREFACE[: len(held)]:
                raise Broken(Code.PROTOCOL_ERROR)
            if len(held) < len(PREFACE):
                return
            self._held = held = held[len(PREFACE) :]
            self._preface = b""
        at, end = 0, len(held)
        try:
            while end - at >= HEAD and not self._wire.full and not self._over:
                high, low, kind, flags, stream = heading(held, at)
                length = high << 16 | low
                if length > MAX_FRAME:
                    raise Broken(Code.FRAME_SIZE_ERROR)
                begin = at + HEAD
                if begin + length > end:
                    break
                at = begin + length
                self._one(kind, flags, stream & 0x7FFFFFFF, held[begin:at])
        finally:
            self._held = b"" if self._over else held[at:]

    def _one(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if self._block is not None and kind != Kind.CONTINUATION:
            raise Broken(Code.PROTOCOL_ERROR)
        if not self._settled and kind != Kind.SETTINGS:
            raise Broken(Code.PROTOCOL_ERROR)  # RFC 9113, 3.4
        if kind == _FIELDS:
            self._headers(flags, stream, payload)
        elif kind == Kind.WINDOW_UPDATE:
            self._window_update(stream, payload)
        elif kind == Kind.DATA:
            self._data(flags, stream, payload)
        else:
            self._patience.bear()
            if take := _OTHERS.get(kind):
                take(self, flags, stream, payload)
            else:
                pass_over(kind, stream, payload)

    def _headers(self, flags: int, stream: int, payload: bytes) -> None:
        if not stream & 1:
            raise Broken(Code.PROTOCOL_ERROR)
        if flags & PADDED:
            payload = unpadded(payload)
        if flags & PRIORITY:
            payload = without_priority(payload)
        if flags & END_HEADERS:
            if not (self._alike and flags & END_STREAM and self._again(stream, payload)):
                self._fields_came(flags, stream, payload)
        else:
            self._block = (stream, flags, bytearray(payload))

    def _again(self, stream: int, block: bytes) -> bool:
        """Answer a request that differs from the one before in its path only, if the answer is ready."""
        if stream <= self._last or self._unsent or len(self._streams) >= MAX_STREAMS:
            return False
        path = self._fields.path(block)
        answer = None if path is None else self._at_once(path)
        if answer is None:
            return False
        self._last = stream
        self._patience.gain()
        size = len(answer[1])
        if size <= self._window and size <= self._initial and size <= MAX_FRAME:
            self._say(stream, *answer)
        else:
            self._streams[stream] = Stream(Request(stream, {}, []), self._initial, whole=True)
            self.respond(stream, *answer)
        return True

    def _continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream:
            raise Broken(Code.PROTOCOL_ERROR)
        _, first, block = self._block
        block += payload
        if len(block) > 2 * MAX_OCTETS:
            raise Broken(Code.ENHANCE_YOUR_CALM)
        if flags & END_HEADERS:
            self._block = None
            self._fields_came(first, stream, bytes(block))

    def _fields_came(self, flags: int, stream: int, block: bytes) -> None:
        try:
            fields = self._fields.read(block)
        except FieldFault:
            raise Broken(Code.COMPRESSION_ERROR) from None
        self._alike = False
        known = self._streams.get(stream)
        if known is not None:
            self._trailers(flags, stream, known)
        elif stream > self._last:
            self._last = stream
            self._begins(flags, stream, fields)
        elif stream in self._ended:
            self._patience.bear()
        else:
            raise Broken(Code.STREAM_CLOSED)

    def _trailers(self, flags: int, stream: int, known: Stream) -> None:
        if known.whole:
            self._reset(stream, Code.STREAM_CLOSED)
        elif not flags & END_STREAM:
            self._reset(stream, Code.PROTOCOL_ERROR)
        else:
            self._whole(stream, known)

    def _begins(self, flags: int, stream: int, fields: list[Field]) -> None:
        whole = bool(flags & END_STREAM)
        if len(self._streams) >= MAX_STREAMS:
            self._refuse_stream(stream, whole, Code.REFUSED_STREAM)
        elif not well_formed(tuple([name for name, _ in fields])):
            self._refuse_stream(stream, whole, Code.PROTOCOL_ERROR)
        else:
            request = Request(stream, dict(fields), fields)
            known = self._streams[stream] = Stream(request, self._initial)
            if whole:
                self._alike = self._whole(stream, known)

    def _refuse_stream(self, stream: int, whole: bool, code: Code) -> None:
        self._patience.bear(2)
        if not whole:
            self._pass_over(stream)
        self._wire.send(frame(Kind.RST_STREAM, 0, stream, code.to_bytes(4)))

    def _data(self, flags: int, stream: int, payload: bytes) -> None:
        self._unread += len(payload)
        if self._unread > WINDOW:
            raise Broken(Code.FLOW_CONTROL_ERROR)
        if self._unread > WINDOW // 2:
            self._wire.send(frame(Kind.WINDOW_UPDATE, 0, 0, self._unread.to_bytes(4)))
            self._unread = 0
        if not payload and not flags & END_STREAM:
            self._patience.bear()
        if flags & PADDED:
            payload = unpadded(payload)
        known = self._streams.get(stream)
        if known is None or known.whole:
            self._astray(stream, known)
            return
        known.body += payload
        if flags & END_STREAM or len(known.body) > self._max_body:
            self._whole(stream, known, ended=bool(flags & END_STREAM))

    def _astray(self, stream: int, known: Stream | None) -> None:
        """Data on a stream that takes none."""
        if stream == 0 or (known is None and stream > self._last) or not stream & 1:
            raise Broken(Code.PROTOCOL_ERROR)
        self._patience.bear()
        if known is not None:
            self._reset(stream, Code.STREAM_CLOSED)
        elif stream not in self._ended:
            raise Broken(Code.STREAM_CLOSED)

    def _whole(self, stream: int, known: Stream, *, ended: bool = True) -> bool:
        """Ask what the request says; too large a body is answered before its end. Whether others are like it."""
        known.whole = ended
        request = known.request
        request.body = bytes(known.body)
        length = request.fields.get(b"content-length")
        if ended and length is not None and length != str(len(request.body)).encode():
            self._reset(stream, Code.PROTOCOL_ERROR)  # RFC 9113, 8.1.1
            return False
        self._patience.gain()
        return bool(self._on_request(request))

    def _reset(self, stream: int, code: Code) -> None:
        self._patience.bear()
        self._forget(stream)
        self._pass_over(stream)
        self._wire.send(frame(Kind.RST_STREAM, 0, stream, code.to_bytes(4)))

    def _pass_over(self, stream: int) -> None:
        self._ended[stream] = None
        if len(self._ended) > _REMEMBERED:
            del self._ended[next(iter(self._ended))]

    def _forget(self, stream: int) -> None:
        known = self._streams.pop(stream, None)
        if known:
            self._unsent -= len(known.unsent)

    def _rst_stream(self, _flags: int, stream: int, payload: bytes) -> None:
        vet(0 < stream <= self._last, len(payload) == 4)
        if stream in self._streams:
            self._patience.bear(2 * GAIN)  # asked and taken back: the work is done all the same (CVE-2023-44487)
            self._forget(stream)
            self._pass_over(stream)

    def _settings(self, flags: int, stream: int, payload: bytes) -> None:
        vet(stream == 0, not (flags & ACK and payload))
        self._settled = True
        if flags & ACK:
            return
        for key, value in settings(payload):
            if key == INITIAL_WINDOW:
                for known in self._streams.values():
                    known.window += value - self._initial
                self._initial = value
        self._wire.send(_ACKNOWLEDGED)
        self._send_rest()

    def _ping(self, flags: int, stream: int, payload: bytes) -> None:
        vet(stream == 0, len(payload) == 8)
        if not flags & ACK:
            self._wire.send(frame(Kind.PING, ACK, 0, payload))

    def _window_update(self, stream: int, payload: bytes) -> None:
        vet(stream <= self._last, len(payload) == 4)
        more = int.from_bytes(payload) & 0x7FFFFFFF
        if not more and not stream:
            raise Broken(Code.PROTOCOL_ERROR)
        if stream == 0:
            self._window += more
        elif known := self._streams.get(stream):
            known.window += more
            if not more or known.window > MAX_WINDOW:
                self._reset(stream, Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR)
        if self._window > MAX_WINDOW:
            raise Broken(Code.FLOW_CONTROL_ERROR)
        if stream or more < _SMALL:
            self._patience.bear()
        self._send_rest()

    def _send_rest(self) -> None:
        """Send what waits for a window, oldest first."""
        for stream, known in list(self._streams.items()) if self._unsent else ():
            while known.unsent and (room := min(known.window, self._window, MAX_FRAME)) > 0:
                part, known.unsent = known.unsent[:room], known.unsent[room:]
                known.window -= len(part)
                self._window -= len(part)
                self._unsent -= len(part)
                flags = 0 if known.unsent else END_STREAM
                self._wire.send(frame(Kind.DATA, flags, stream, part))
                if flags:
                    del self._streams[stream]

    def _go_away(self, code: Code) -> None:
        if not self._over:
            self._over = True
            self._wire.send(frame(Kind.GOAWAY, 0, 0, self._last.to_bytes(4) + code.to_bytes(4)))
        self._streams.clear()
        self._wire.close()


_OTHERS: Final[dict[int, Callable[[Http2, int, int, bytes], None]]] = {
    Kind.RST_STREAM: Http2._rst_stream,
    Kind.SETTINGS: Http2._settings,
    Kind.PING: Http2._ping,
    Kind.CONTINUATION: Http2._continuation,
}
