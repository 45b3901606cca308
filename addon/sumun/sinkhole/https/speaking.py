"""A connection of DNS over HTTPS: requests become queries, and answers responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

from sumun.model.name import IPAddress
from sumun.model.parents import forwarded, is_parent
from sumun.model.rule import IPNetwork
from sumun.sinkhole.batch import Batch
from sumun.sinkhole.connection import Connection, Session
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.https.http1 import Http1
from sumun.sinkhole.https.http1 import Request as Request1
from sumun.sinkhole.https.http2 import Http2
from sumun.sinkhole.https.requests import MAX_QUERY, MEDIA_TYPE, METHODS, Requests, Status, freshness
from sumun.sinkhole.https.stream import Request as Request2

ALPN = ("h2", "http/1.1")
_X_FORWARDED_FOR = b"x-forwarded-for"

type Field = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections share."""

    handler: Handler
    requests: Requests
    trusted: tuple[IPNetwork, ...] = ()
    """Peers whose X-Forwarded-For counts."""
    refused: Callable[[Status], None] = lambda _: None
    """Is told of each request that brought no query."""

    def speak(self, connection: Connection, agreed: str | None) -> Session:
        """Begin what the handshake agreed on."""
        return OverHttp2(connection, self) if agreed == "h2" else OverHttp1(connection, self)

    def client(self, peer: IPAddress, fields: Iterable[Field]) -> IPAddress:
        """Whose request it is that this peer brings."""
        told = [value.decode("latin-1") for name, value in fields if name == _X_FORWARDED_FOR]
        if not told:
            return peer
        if not is_parent(peer, self.trusted):
            self.handler.accused(peer)
            return peer
        return forwarded(told, self.trusted) or peer


class OverHttp2:
    """Answers that are ready leave with what else was asked in the same octets."""

    def __init__(self, connection: Connection, service: Service) -> None:
        self._connection, self._service = connection, service
        self._http = Http2(connection, self._on_request, max_body=MAX_QUERY)
        self._batch: Batch | None = None

    def received(self, data: bytes) -> None:
        """Take up what came."""
        self._together(self._http.received, data)

    def proceed(self) -> None:
        """Take up what is left."""
        if self._batch is None:
            self._together(self._http.received, b"")

    def farewell(self) -> None:
        """Take no more requests."""
        self._http.farewell()

    def _together(self, take_up: Callable[[bytes], None], data: bytes) -> None:
        batch = self._batch = Batch(self._service.handler, self._connection.client, "doh")
        try:
            take_up(data)
        finally:
            self._batch = None
            batch.close()

    def _on_request(self, request: Request2) -> None:
        fields = request.fields
        media_type = fields.get(b"content-type", b"")
        wire = self._service.requests.query(fields[b":method"], fields[b":path"], media_type, request.body)
        if isinstance(wire, int):
            self._service.refused(wire)
            self._http.refuse(request.stream, _refusal_block(wire))
            return
        self._connection.renew()
        client = self._connection.client
        if _X_FORWARDED_FOR in fields:
            client = self._service.client(client, request.every)
        elif self._batch and (answer := self._batch.find(wire)):
            if answer.carried[0] is not answer.body:
                answer.carried = answer.body, _response_block(len(answer.body) + 2, freshness(wire[:2] + answer.body))
            self._http.respond(request.stream, answer.carried[1], wire[:2] + self._batch.body(answer))
            return
        self._connection.asked()
        self._service.handler.handle(wire, client, "doh", partial(self._reply, request.stream))

    def _reply(self, stream: int, reply: bytes | None) -> bool:
        if reply is None:
            self._http.refuse(stream, _refusal_block(400))
            sent = False
        else:
            sent = self._http.respond(stream, _response_block(len(reply), freshness(reply)), reply)
        self._connection.answered()
        return sent


class OverHttp1:
    """One request after another."""

    def __init__(self, connection: Connection, service: Service) -> None:
        self._connection, self._service = connection, service
        self._http = Http1(connection, self._on_request, max_body=MAX_QUERY, refusal=self._refusing)

    def received(self, data: bytes) -> None:
        """Take up what came."""
        self._http.received(data)

    def proceed(self) -> None:
        """Take up what is left."""
        self._http.proceed()

    def farewell(self) -> None:
        """The response that is open is the last."""

    def _on_request(self, request: Request1) -> None:
        wire = self._service.requests.query(
            request.method, request.target, request.field(b"content-type"), request.body
        )
        if isinstance(wire, int):
            self._http.respond(wire, self._refusing(wire))
            return
        self._connection.renew()
        client = self._service.client(self._connection.client, request.fields)
        self._connection.asked()
        self._service.handler.handle(wire, client, "doh", self._reply)

    def _refusing(self, status: Status) -> list[Field]:
        """Count it, and say what goes with it."""
        self._service.refused(status)
        return _refusal_fields(status)

    def _reply(self, reply: bytes | None) -> bool:
        if reply is None:
            self._http.respond(400, _refusal_fields(400))
            sent = False
        else:
            sent = self._http.respond(200, _response_fields(freshness(reply)), reply)
        self._connection.answered()
        return sent


def _response_fields(seconds: int) -> list[Field]:
    return [(b"content-type", MEDIA_TYPE), (b"cache-control", b"max-age=%d" % seconds)]


def _refusal_fields(status: Status) -> list[Field]:
    return [(b"allow", METHODS)] if status == 405 else []


def _literal(name: int, value: bytes) -> bytes:
    """A field whose name stands in the static table (RFC 7541, 6.2.2 and appendix A); its value is short."""
    return bytes((0x0F, name - 15, len(value))) + value


_STATUS = {200: b"\x88", 400: b"\x8c", 404: b"\x8d"}
_FOR_STATUS, _ALLOW, _CACHE_CONTROL, _CONTENT_LENGTH, _CONTENT_TYPE = 8, 22, 24, 28, 31
_DNS = _STATUS[200] + _literal(_CONTENT_TYPE, MEDIA_TYPE)


@lru_cache(maxsize=4096)
def _response_block(length: int, seconds: int) -> bytes:
    """The fields of a response, compressed without a memory of what was said before."""
    return _DNS + _literal(_CONTENT_LENGTH, b"%d" % length) + _literal(_CACHE_CONTROL, b"max-age=%d" % seconds)


@lru_cache(maxsize=16)
def _refusal_block(status: Status) -> bytes:
    indexed = _STATUS.get(status) or bytes((_FOR_STATUS, 3)) + b"%d" % status
    allow = _literal(_ALLOW, METHODS) if status == 405 else b""
    return indexed + _literal(_CONTENT_LENGTH, b"0") + allow
