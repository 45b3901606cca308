"""Queries of one client that came together over a stream, answered by look-up where that is possible."""

from __future__ import annotations

import time

from sumun.model.name import IPAddress
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.outcome import Answer, Protocol


class Batch:
    """Short-lived: made when octets have come, ``close``d when they are dealt with."""

    __slots__ = ("_answered", "_client", "_handler", "_now", "_packed", "_protocol", "_start", "_table", "at")

    def __init__(self, handler: Handler, client: IPAddress, protocol: Protocol) -> None:
        self._start = time.perf_counter()
        self._handler, self._client, self._protocol = handler, client, protocol
        self._table, self.at = handler.ready_table(client, protocol)
        self._now, self._packed = self.at.timestamp(), client.packed
        self._answered: list[Answer] = []

    def find(self, wire: bytes) -> Answer | None:
        """The answer to these octets if there is one; then it counts as given."""
        answer = self._table.get(wire[2:])
        if answer is None or (answer.until <= self._now and not answer.lives(self._now)):
            return None
        self._answered.append(answer)
        return answer

    def body(self, answer: Answer) -> bytes:
        """What is said to this client, after the id."""
        if not answer.incident_at:
            return answer.body
        return answer.telling(self._handler.incident(self._packed, answer, self.at, self._protocol))

    def close(self) -> bool:
        """Count what was given; whether anything was."""
        if not self._answered:
            return False
        seconds = time.perf_counter() - self._start
        self._handler.answered(
            [self._packed] * len(self._answered), self._answered, (), self.at, seconds, self._protocol
        )
        return True
