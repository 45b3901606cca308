"""Padding of answers (RFC 7830), so that the length of what is encrypted tells less."""

from __future__ import annotations

from typing import Final

from dns.edns import OptionType
from dns.rdatatype import RdataType

from sumun.upstream.message import MalformedMessage, records

BLOCK: Final = 468
"""Octets; answers have a multiple of it (RFC 8467, 4.1)."""
_HEAD, _MAX = 4, 65_535


def padded(message: bytes) -> bytes:
    """The message with padding in its OPT record, where that comes last; otherwise as it is."""
    try:
        *_, last = records(message)
    except (MalformedMessage, ValueError):
        return message
    if last.type != RdataType.OPT or last.end != len(message):
        return message
    size = min(-(len(message) + _HEAD) % BLOCK, _MAX - len(message) - _HEAD)
    if size < 0:
        return message
    out = bytearray(message) + OptionType.PADDING.to_bytes(2) + size.to_bytes(2) + bytes(size)
    out[last.data - 2 : last.data] = (last.end - last.data + _HEAD + size).to_bytes(2)
    return bytes(out)
