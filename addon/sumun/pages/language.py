"""Which of our languages a person reads: the look-up of RFC 4647, 3.4, over ``Accept-Language``."""

from __future__ import annotations

from collections.abc import Container

from sumun.pages.weights import weighted

DEFAULT_LANGUAGE = "en"


def negotiate(accept_language: str, available: Container[str]) -> str:
    """The best liked tag (lower case) that is available, else English; a malformed field never fails."""
    best, weight = DEFAULT_LANGUAGE, 0.0
    for tag, quality in weighted(accept_language):
        found = DEFAULT_LANGUAGE if tag == "*" else _look_up(tag, available)
        if found and quality > weight:
            best, weight = found, quality
    return best


def _look_up(tag: str, available: Container[str]) -> str | None:
    """Drop subtags from the end until one of ours is left: ``ko-kr`` is ``ko``."""
    while tag:
        if tag in available:
            return tag
        tag = tag.rpartition("-")[0]
    return None
