"""What a person can do on a page that stops them, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

RESERVED: Final = "/.well-known/sumun/"
"""Under this path of every origin that is stopped, the filter answers itself (RFC 8615)."""
MIN_REASON, MAX_REASON = 20, 1000
"""Characters of a reason, after white space is collapsed."""


class Ask(StrEnum):
    """What a form asks for; the last segment of its address."""

    ACKNOWLEDGE = "acknowledge"
    JUSTIFY = "justify"
    REVIEW = "review"


class Purpose(StrEnum):
    """What somebody needs a service for; a closed set, so that it can be counted."""

    RESEARCH = "research"
    WRITING = "writing"
    TRANSLATION = "translation"
    DEVELOPMENT = "development"
    ANALYSIS = "analysis"
    OTHER = "other"


class Answer(StrEnum):
    """What came of an earlier request."""

    NONE = "none"
    PENDING = "pending"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Offer:
    """One form, made for one person, one destination and one time."""

    ask: Ask
    ticket: str
    """Signed; opaque to the page."""
    length: timedelta = timedelta()
    """How long it is remembered."""
    approver: str = ""
    """Who has to agree first; empty: nobody."""
    answer: Answer = Answer.NONE
    repeats: bool = True
    """Whether the request that was stopped is made again; False: it carried data, which are never sent by us."""
    available: bool = True
    """False: nothing can be remembered just now."""


class Result(StrEnum):
    """What came of a form that was sent; a key of the languages."""

    REVIEW_ASKED = "review_asked"
    USED = "used"
    INVALID = "invalid"
    """Forged, too old, or made for somebody else."""
    CROSS_SITE = "cross_site"
    BAD_TEXT = "bad_text"
    TOO_LARGE = "too_large"
    FULL = "full"
    UNAVAILABLE = "unavailable"
    NOT_FOUND = "not_found"
