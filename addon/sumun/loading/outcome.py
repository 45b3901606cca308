"""What became of an attempt to update a list."""

from __future__ import annotations

from enum import StrEnum

from sumun.model.fault import OperatorFault


class Outcome(StrEnum):
    """A closed set: a metric label, and a heading in docs/reference/lists.md."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    UNREACHABLE = "unreachable"
    """No connection, no certificate that holds, or no HTTP."""
    STATUS = "status"
    """Another status than 200 or 304."""
    REDIRECTED = "redirected"
    """In a circle, too often, or to where lists are not fetched from."""
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    """Before or after decompression."""
    TOO_SLOW = "too_slow"
    ENCODING = "encoding"
    """Neither UTF-8 nor gzip."""
    HTML = "html"
    EMPTY = "empty"
    REFUSALS = "refusals"
    SHRANK = "shrank"
    GREW = "grew"
    DIGEST = "digest"
    SIGNATURE = "signature"
    OLDER = "older"
    STORAGE = "storage"
    """The copy could not be written on this host."""

    @property
    def good(self) -> bool:
        """Whether the copy at hand is what is published."""
        return self in (Outcome.UPDATED, Outcome.UNCHANGED)


_WORTH_ANOTHER_TRY = frozenset({Outcome.UNREACHABLE, Outcome.TRUNCATED, Outcome.TOO_SLOW})


class NotTaken(OperatorFault):
    """A version of a list that does not land; the message says why."""

    def __init__(self, outcome: Outcome, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.passing = passing or outcome in _WORTH_ANOTHER_TRY
        """Whether it may well be gone a second later."""
