"""Questions over HTTPS (RFC 8484) on one HTTP/2 connection: many at a time, each on a stream of its own."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from sumun.config.settings import Upstream

_MAX_AT_ONCE = 100
_MAX_MESSAGE = 65_535
_READ = 65_536
_OLD = 1 << 30
"""Number of the last stream on one connection: half of what there are."""


class Gone(OSError):
    """The connection ended before the answer came: the question may be asked on another."""


@dataclass(slots=True)
class _Exchange:
    answer: asyncio.Future[bytes]
    body: bytearray = field(default_factory=bytearray)


class Http2Client:
    """The client's side of one connection; ``close`` it."""

    def __init__(self, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._upstream, self._reader, self._writer = upstream, reader, writer
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._http = h2.connection.H2Connection(config)
        self._http.initiate_connection()
        self._exchanges: dict[int, _Exchange] = {}
        self._turns = asyncio.Semaphore(_MAX_AT_ONCE)
        self._leaving = False
        self._flush()
        self._reading = asyncio.create_task(self._read())

    @property
    def usable(self) -> bool:
        """Whether new questions may be asked."""
        return not self._leaving and not self._reading.done()

    async def ask(self, query: bytes) -> bytes:
        """The answer; raises Gone, or OSError where the server does not give one."""
        async with self._turns:
            stream, exchange = self._begin(query)
            try:
                await self._writer.drain()
                return await exchange.answer
            finally:
                if self._exchanges.pop(stream, None) and not exchange.answer.done():
                    self._give_up(stream)

    async def close(self) -> None:
        """End the connection; questions on it fail."""
        self._reading.cancel()
        with suppress(asyncio.CancelledError):
            await self._reading
        with suppress(OSError):
            await self._writer.wait_closed()

    def _begin(self, query: bytes) -> tuple[int, _Exchange]:
        if not self.usable:
            raise Gone("the connection was closed")
        try:
            stream = self._http.get_next_available_stream_id()
            self._http.send_headers(stream, self._fields(len(query)))
            self._http.send_data(stream, query, end_stream=True)
        except h2.exceptions.ProtocolError as fault:  # no more streams, or no window: the server may offer more anew
            raise Gone(f"HTTP/2: {fault}") from fault
        self._leaving = stream > _OLD
        exchange = self._exchanges[stream] = _Exchange(asyncio.get_running_loop().create_future())
        self._flush()
        return stream, exchange

    def _fields(self, length: int) -> list[tuple[str, str]]:
        upstream = self._upstream
        return [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", authority(upstream)),
            (":path", upstream.path or "/dns-query"),
            ("accept", "application/dns-message"),
            ("content-type", "application/dns-message"),
            ("content-length", str(length)),
        ]

    async def _read(self) -> None:
        why: Exception = Gone("the server closed the connection")
        try:
            while data := await self._reader.read(_READ):
                for event in self._http.receive_data(data):
                    self._take(event)
                self._flush()
        except (OSError, EOFError, h2.exceptions.ProtocolError) as fault:
            why = Gone(f"the connection broke: {fault}")
        finally:
            self._leaving = True
            self._writer.close()
            for exchange in self._exchanges.values():
                _fail(exchange, why)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self._leaving = True  # what was asked before may still be answered
        if isinstance(event, h2.events.DataReceived):
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        exchange = self._exchanges.get(getattr(event, "stream_id", 0) or 0)
        if exchange is not None:
            _tell(exchange, event)

    def _give_up(self, stream: int) -> None:
        with suppress(h2.exceptions.ProtocolError):
            self._http.reset_stream(stream)
            self._flush()

    def _flush(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(self._http.data_to_send())


def authority(upstream: Upstream) -> str:
    """The host of a request, with its port where that is not the usual one."""
    host = upstream.tls_name or upstream.host
    host = f"[{host}]" if ":" in host else host
    return host if upstream.port == 443 else f"{host}:{upstream.port}"


def _tell(exchange: _Exchange, event: h2.events.Event) -> None:
    match event:
        case h2.events.ResponseReceived(headers=headers):
            _look(exchange, {str(name): str(value) for name, value in headers})
        case h2.events.DataReceived(data=data):
            exchange.body += data
            if len(exchange.body) > _MAX_MESSAGE:
                _fail(exchange, OSError("answered more than a DNS message"))
        case h2.events.StreamEnded() if not exchange.answer.done():
            exchange.answer.set_result(bytes(exchange.body))
        case h2.events.StreamReset(error_code=code):
            _fail(exchange, OSError(f"reset the stream: {code}"))


def _look(exchange: _Exchange, fields: dict[str, str]) -> None:
    status, media_type = fields.get(":status", ""), fields.get("content-type", "").partition(";")[0].strip().lower()
    if status != "200" or media_type != "application/dns-message":
        _fail(exchange, OSError(f"answered `{status} {media_type[:40]}` in place of a DNS message"))


def _fail(exchange: _Exchange, why: Exception) -> None:
    if not exchange.answer.done():
        exchange.answer.set_exception(why)
