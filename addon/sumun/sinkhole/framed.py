"""DNS over a stream (RFC 7766): a length before each message, many questions at once, answers as they are ready."""

from __future__ import annotations

from sumun.sinkhole.batch import Batch
from sumun.sinkhole.connection import Connection
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.outcome import Protocol

_MAX_QUERY = 4096
"""Octets; a longer query closes the connection."""


class Framed:
    """The messages of one connection, over TCP or over TLS (RFC 7858)."""

    def __init__(self, connection: Connection, handler: Handler, protocol: Protocol) -> None:
        self._connection, self._handler, self._protocol = connection, handler, protocol
        self._held = b""
        self._busy = False

    def received(self, data: bytes) -> None:
        """Take up the messages that are whole; a length that no query has closes the connection."""
        self._held = self._held + data if self._held else data
        self.proceed()

    def proceed(self) -> None:
        """Take up what is left, as far as it may be."""
        if self._busy:
            return
        self._busy = True
        try:
            self._take_up()
        finally:
            self._busy = False

    def farewell(self) -> None:
        """DNS has no word for it: the connection closes."""

    def _take_up(self) -> None:
        connection, held, at = self._connection, self._held, 0
        batch = Batch(self._handler, connection.client, self._protocol)
        out: list[bytes] = []
        while not connection.full and len(held) - at >= 2:
            begin = at + 2
            end = begin + int.from_bytes(held[at:begin])
            if end - begin > _MAX_QUERY:
                held = b""
                connection.stop_reading()
                break
            if end > len(held):
                break
            at = end
            wire = held[begin:end]
            if answer := batch.find(wire):
                body = batch.body(answer)
                out += (len(body) + 2).to_bytes(2), wire[:2], body
            else:
                self._hand_over(wire)
        if at:
            self._held = held[at:]
            connection.renew()
        if out:
            connection.send(b"".join(out))
        batch.close()

    def _hand_over(self, wire: bytes) -> None:
        self._connection.asked()
        self._handler.handle(wire, self._connection.client, self._protocol, self._reply)

    def _reply(self, reply: bytes | None) -> bool:
        sent = reply is not None and self._connection.send(len(reply).to_bytes(2) + reply)
        self._connection.answered()
        return sent
