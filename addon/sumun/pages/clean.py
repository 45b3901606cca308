"""Hostile or over-long text made fit to be shown: bounded, on one line, unable to reorder what stands around it.

Escaping is not done here but where a text enters a format (HTML by the template, JSON by its writer).
"""

from __future__ import annotations

import re

# Controls, lone surrogates (how undecodable octets arrive) and the bidirectional overrides with which a host
# name could pretend to be another (Unicode Technical Report 36, 2.5).
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_HEADER_UNFIT = re.compile(r"[^A-Za-z0-9._~-]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def clean(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + _ELLIPSIS
    return _UNFIT.sub(_REPLACEMENT, " ".join(cut.split()))


def paragraphs(text: str, limit: int) -> tuple[str, ...]:
    """The non-empty lines of an administrator's text, at most ``limit`` characters in all."""
    lines = (line for line in text[:limit].splitlines() if line.strip())
    return tuple(clean(line, limit) for line in lines)


def token(text: str) -> str:
    """An identifier that may stand in a header field, at most 64 characters."""
    return _HEADER_UNFIT.sub("", text)[:64]
