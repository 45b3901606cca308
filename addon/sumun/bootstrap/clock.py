"""The only clock."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The only clock."""
    return datetime.now(UTC)  # noqa: TID251  # the one place
