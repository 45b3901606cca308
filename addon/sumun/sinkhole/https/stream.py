"""What HTTP/2 knows of one request, and what carries its octets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol as Port

from sumun.sinkhole.https.fields import Field


class Wire(Port):
    """What carries the octets."""

    @property
    def full(self) -> bool:
        """Whether no more requests are to be taken up for now."""
        ...

    def send(self, octets: bytes) -> bool:
        """Say something; False: it cannot be said any more."""
        ...

    def close(self) -> None:
        """Send what is to be sent, and close."""
        ...


@dataclass(slots=True)
class Request:
    """What a client asked on one stream."""

    stream: int
    fields: dict[bytes, bytes]
    every: list[Field]
    body: bytes = b""


@dataclass(slots=True)
class Stream:
    """A request that is not yet answered in full."""

    request: Request
    window: int
    """Octets that the client takes on it."""
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    """Whether the client has said everything."""
    unsent: bytes = b""
    """Of the answer, for lack of window."""
