"""HTTP/1.1 (RFC 9112), by the h11 library: octets in, requests out, one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol as Port

import h11

type Field = tuple[bytes, bytes]

_MAX_HEAD = 16_384
"""Octets of a request before its body, or of one chunk's frame."""


class Wire(Port):
    """What carries the octets."""

    def send(self, octets: bytes) -> bool:
        """Say something; False: it cannot be said any more."""
        ...

    def close(self, *, hear_out: bool = False) -> None:
        """Send what is to be sent, and close, perhaps while the client is still talking."""
        ...


@dataclass(slots=True)
class Request:
    """What a client asked."""

    method: bytes
    target: bytes
    fields: list[Field]
    body: bytes = b""

    def field(self, name: bytes) -> bytes:
        """The first field of this name; empty: there is none."""
        return next((value for key, value in self.fields if key == name), b"")


class Http1:
    """The server's side of one connection. A request waits until the one before it is answered."""

    def __init__(
        self,
        wire: Wire,
        on_request: Callable[[Request], None],
        *,
        max_body: int,
        refusal: Callable[[int], list[Field]],
    ) -> None:
        """``refusal``: the fields that go with a status; ``max_body`` in octets."""
        self._wire, self._on_request, self._max_body, self._refusal = wire, on_request, max_body, refusal
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._request: Request | None = None
        self._body = bytearray()
        self._busy = self._over = False

    def received(self, data: bytes) -> None:
        """Take up what came."""
        if self._over:
            return
        self._http.receive_data(data)
        self.proceed()

    def proceed(self) -> None:
        """Take up what is left; a request that cannot be read is answered, and the connection ends."""
        if self._busy:
            return
        self._busy = True
        try:
            while not self._over and self._one():
                pass
        except h11.RemoteProtocolError as fault:
            self._refuse(fault.error_status_hint)
        finally:
            self._busy = False

    def farewell(self) -> None:
        """The response that is open is the last; it cannot be said any more."""

    def respond(self, status: int, fields: list[Field], body: bytes = b"") -> bool:
        """Answer the request that was handed on last."""
        if self._over:
            return False
        fields = [*fields, (b"content-length", str(len(body)).encode())]
        reason = HTTPStatus(status).phrase.encode()
        out = self._http.send(h11.Response(status_code=status, headers=fields, reason=reason)) or b""
        out += self._http.send(h11.Data(data=body)) or b""
        out += self._http.send(h11.EndOfMessage()) or b""
        sent = self._wire.send(out)
        if self._http.our_state is h11.MUST_CLOSE or self._http.their_state is not h11.DONE:
            self._end()
        else:
            self._http.start_next_cycle()
            self.proceed()
        return sent

    def _one(self) -> bool:
        """Take up one event; False: there is none for now."""
        match self._http.next_event():
            case h11.Request() as asked:
                self._begin(asked)
            case h11.Data(data=data):
                self._body += data
                if len(self._body) > self._max_body:
                    self._refuse(413)
            case h11.EndOfMessage() if self._request:
                self._request.body = bytes(self._body)
                self._on_request(self._request)
            case h11.ConnectionClosed():
                self._end()
            case _:
                return False
        return True

    def _begin(self, asked: h11.Request) -> None:
        self._request = Request(asked.method, asked.target, [(bytes(k), bytes(v)) for k, v in asked.headers])
        self._body.clear()
        length = self._request.field(b"content-length")
        if length and int(length) > self._max_body:
            self._refuse(413)
        elif self._http.they_are_waiting_for_100_continue:
            self._wire.send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")

    def _refuse(self, status: int) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self.respond(status, [*self._refusal(status), (b"connection", b"close")])
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._wire.close(hear_out=self._http.their_state not in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED))
