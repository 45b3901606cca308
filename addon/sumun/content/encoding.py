"""Content-Encoding undone (RFC 9110, 8.4), bounded: a body of a few octets may unpack to gigabytes. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # it has no types
import zstandard

_STACKED = 3
"""Encodings one upon another; nobody needs more than one."""
_WINDOW = 8 * 1024 * 1024
"""Octets of memory that zstd may ask for (RFC 8878, 3.1.1.1.2; RFC 9659)."""

_SLICE = 256
"""Octets that zstd is given at once; each four may stand for a block of 128 KiB (RFC 8878, 3.1.1.2.4)."""

type _Unpack = Callable[[bytes, int], bytes | None]


def decoded(body: bytes, encodings: str, limit: int) -> bytes | None:
    """The plain body; None: it cannot be read, or is longer than ``limit`` octets somewhere on the way."""
    names = [name for part in encodings.lower().split(",") if (name := part.strip()) not in ("", "identity")]
    if len(names) > _STACKED:
        return None
    plain: bytes | None = body
    for name in reversed(names):
        unpack = _UNPACK.get(name)
        if unpack is None or plain is None:
            return None
        plain = unpack(plain, limit)
    return plain


def _gzip(body: bytes, limit: int) -> bytes | None:
    return _inflated(body, limit, wbits=31)


def _deflate(body: bytes, limit: int) -> bytes | None:
    """With a zlib header as the RFC has it, or without, as some senders do."""
    plain = _inflated(body, limit, wbits=15)
    return _inflated(body, limit, wbits=-15) if plain is None else plain


def _inflated(body: bytes, limit: int, *, wbits: int) -> bytes | None:
    unpack = zlib.decompressobj(wbits=wbits)
    try:
        plain = unpack.decompress(body, limit + 1)
    except zlib.error:
        return None
    # what follows the end, such as a second member, some servers read on and others do not
    return plain if unpack.eof and not unpack.unused_data and len(plain) <= limit else None


def _brotli(body: bytes, limit: int) -> bytes | None:
    unpack = brotli.Decompressor()
    plain = bytearray()
    try:
        plain += unpack.process(body, output_buffer_limit=limit + 1)
        while not unpack.can_accept_more_data() and not unpack.is_finished() and len(plain) <= limit:
            plain += unpack.process(b"", output_buffer_limit=limit + 1)
        if unpack.is_finished() and len(plain) <= limit:
            return bytes(plain)
    except brotli.error:
        return None
    return None


def _zstd(body: bytes, limit: int) -> bytes | None:
    """In slices: the library takes no limit for what it unpacks, and a slice cannot become more than megabytes."""
    unpack = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    plain = bytearray()
    try:
        for at in range(0, len(body), _SLICE):
            if unpack.eof or len(plain) > limit:
                return None
            plain += unpack.decompress(body[at : at + _SLICE])
    except zstandard.ZstdError:
        return None
    return bytes(plain) if unpack.eof and not unpack.unused_data and len(plain) <= limit else None


_UNPACK: dict[str, _Unpack] = {
    "gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd,
}  # fmt: skip
