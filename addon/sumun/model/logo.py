"""A picture that stands on the pages for the organisation."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

MAX_LOGO = 8 * 1024
"""Octets: inside a page, with all it can say beside it, a logo stays under 30 KB."""


@dataclass(frozen=True, slots=True)
class Logo:
    """A vetted picture: nothing in it runs, and nothing in it is loaded from elsewhere."""

    uri: str
    """The whole picture as a ``data:`` URI (RFC 2397)."""

    @classmethod
    def of(cls, media_type: str, octets: bytes) -> Logo:
        """Make one of a picture that was vetted."""
        return cls(f"data:{media_type};base64,{b64encode(octets).decode()}")
