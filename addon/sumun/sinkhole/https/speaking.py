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
        self._http = Http2(connection, self._on_request, max_body=MAX_QUERY, at_once=self._at_once)
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
            if batch.close():
                self._connection.renew()

    def _at_once(self, path: bytes) -> tuple[bytes, bytes] | None:
        """What to say to a GET for the connection's own client, if it is ready."""
        wire = self._service.requests.query(b"GET", path, b"", b"")
        return None if isinstance(wire, int) else self._ready(wire)

    def _ready(self, wire: bytes) -> tuple[bytes, bytes] | None:
        batch = self._batch
        if batch is None or (answer := batch.find(wire)) is None:
            return None
        made_for, head = answer.carried
        if made_for is not answer.body:
            head = _response_block(len(answer.body) + 2, freshness(wire[:2] + answer.body))
            answer.carried = answer.body, head
        return head, wire[:2] + (batch.body(answer) if answer.incident_at else answer.body)

    def _on_request(self, request: Request2) -> bool:
        """Whether ``_at_once`` knows what to say to those that differ in the path only."""
        fields = request.fields
        forwards = _X_FORWARDED_FOR in fields
        wire = self._service.requests.query(
            fields[b":method"], fields[b":path"], fields.get(b"content-type", b""), request.body
        )
        if isinstance(wire, int):
            self._service.refused(wire)
            self._http.refuse(request.stream, _refusal_block(wire))
        elif not forwards and (ready := self._ready(wire)):
            self._http.respond(request.stream, *ready)
        else:
            client = self._connection.client
            if forwards:
                client = self._service.client(client, request.every)
            self._connection.renew()
            self._connection.asked()
            self._service.handler.handle(wire, client, "doh", partial(self._reply, request.stream))
        return fields[b":method"] == b"GET" and not forwards

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
