"""Frames of HTTP/2 (RFC 9113): their numbers, and how they are written."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD: Final = 9
"""Octets before the payload of each frame."""
MAX_FRAME: Final = 16_384
WINDOW: Final = 65_535
MAX_WINDOW: Final = (1 << 31) - 1

END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
"""Flags."""
ENABLE_PUSH, MAX_CONCURRENT, INITIAL_WINDOW, FRAME_SIZE, LIST_SIZE = 2, 3, 4, 5, 6
"""Settings."""


class Kind(IntEnum):
    """Frames (RFC 9113, 6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Code(IntEnum):
    """Why a stream or a connection ends (RFC 9113, 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


heading = Struct("!BHBBL").unpack_from
"""Of a frame: its length in two parts, kind, flags and stream."""
_HEADERS, _LAST = bytes((Kind.HEADERS, END_HEADERS)), bytes((Kind.DATA, END_STREAM))


class Broken(Exception):
    """The other side does what none may; the connection ends."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def frame(kind: Kind, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def response(stream: int, head: bytes, body: bytes) -> bytes:
    """Fields and a body, each in one frame; written out, since nearly all answers are."""
    number = stream.to_bytes(4)
    parts = len(head).to_bytes(3), _HEADERS, number, head, len(body).to_bytes(3), _LAST, number, body
    return b"".join(parts)


def vet(place: bool, size: bool = True) -> None:
    """Check that a frame is on a stream, and of a size, that it may be; raises Broken."""
    if not size:
        raise Broken(Code.FRAME_SIZE_ERROR)
    if not place:
        raise Broken(Code.PROTOCOL_ERROR)


def unpadded(payload: bytes) -> bytes:
    """What is between the length of the padding and the padding; raises Broken."""
    if not payload or payload[0] >= len(payload):
        raise Broken(Code.PROTOCOL_ERROR)
    return payload[1 : len(payload) - payload[0]]


def without_priority(payload: bytes) -> bytes:
    """What follows the five octets of a priority, which nobody heeds; raises Broken."""
    if len(payload) < 5:
        raise Broken(Code.FRAME_SIZE_ERROR)
    return payload[5:]


def pass_over(kind: int, stream: int, payload: bytes) -> None:
    """Check a frame that asks nothing of us; raises Broken."""
    if kind == Kind.PRIORITY:
        vet(stream != 0, len(payload) == 5)
    elif kind == Kind.GOAWAY:  # what the client asked before is still answered
        vet(stream == 0, len(payload) >= 8)
    elif kind == Kind.PUSH_PROMISE:
        raise Broken(Code.PROTOCOL_ERROR)


def settings(payload: bytes) -> list[tuple[int, int]]:
    """Numbers and values, which may be; raises Broken."""
    if len(payload) % 6:
        raise Broken(Code.FRAME_SIZE_ERROR)
    found = [
        (int.from_bytes(payload[at : at + 2]), int.from_bytes(payload[at + 2 : at + 6]))
        for at in range(0, len(payload), 6)
    ]
    for key, value in found:
        vet((key != ENABLE_PUSH or value <= 1) and (key != FRAME_SIZE or MAX_FRAME <= value < 1 << 24))
        if key == INITIAL_WINDOW and value > MAX_WINDOW:
            raise Broken(Code.FLOW_CONTROL_ERROR)
    return found
