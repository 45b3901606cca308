"""Pictures for pages, made here: nothing of anybody's is copied."""

from __future__ import annotations

from struct import pack
from zlib import compress, crc32

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 136 40">
<defs><linearGradient id="sky"><stop stop-color="#0b6470"/>
<stop offset="1" stop-color="#12395b"/></linearGradient></defs>
<path fill="url(#sky)" d="M4 36V16L20 4l16 12v20z"/><path fill="#ffffff" d="M15 36V22h10v14z"/>
<text x="44" y="27" font-family="sans-serif" font-size="17" font-weight="700" fill="#12395b">MINISTRY</text>
</svg>"""


def chunk(kind: bytes, body: bytes) -> bytes:
    return pack(">I4s", len(body), kind) + body + pack(">I", crc32(kind + body))


def png(width: int = 24, height: int = 24, *more: bytes) -> bytes:
    """A grey picture, with chunks added before its end."""
    header = chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = compress((b"\0" + b"\x80" * min(width, 100)) * min(height, 100))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
