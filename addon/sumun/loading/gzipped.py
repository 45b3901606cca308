"""Decompression that cannot be used against us."""

from __future__ import annotations

import zlib

from sumun.loading.outcome import NotTaken, Outcome

_MAGIC = b"\x1f\x8b"
_GZIP = 16 + zlib.MAX_WBITS


def unpacked(octets: bytes, encoding: str, limit: int) -> bytes:
    """The content of a body, gzip undone once, whether the server says so or the file simply is; raises NotTaken."""
    if encoding.lower() not in ("", "identity", "gzip", "x-gzip"):
        raise NotTaken(Outcome.ENCODING, "compressed in a way that was not asked for")
    if not octets.startswith(_MAGIC):
        return octets
    stream = zlib.decompressobj(wbits=_GZIP)
    try:
        content = stream.decompress(octets, limit + 1)
    except zlib.error as why:
        raise NotTaken(Outcome.ENCODING, f"damaged gzip: {why}") from None
    if len(content) > limit:
        raise NotTaken(Outcome.TOO_LARGE, f"more than {limit:,} octets once decompressed")
    if not stream.eof:
        raise NotTaken(Outcome.TRUNCATED, "gzip broken off")
    return content
