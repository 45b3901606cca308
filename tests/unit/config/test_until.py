"""Ends as an administrator says them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from sumun.config.fault import Unreadable
from sumun.config.moments import until

SEOUL = ZoneInfo("Asia/Seoul")
MONDAY = datetime(2026, 1, 5, 3, tzinfo=UTC)
"""Noon in Seoul."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("friday", "2026-01-10T00:00"), ("Fri", "2026-01-10T00:00"), ("monday", "2026-01-06T00:00"),
        ("sunday", "2026-01-12T00:00"), ("today", "2026-01-06T00:00"), ("tomorrow", "2026-01-07T00:00"),
        ("8h", "2026-01-05T20:00"), ("30m", "2026-01-05T12:30"), ("3 d", "2026-01-08T12:00"),
        ("2w", "2026-01-19T12:00"),
        ("18:00", "2026-01-05T18:00"), ("2026-12-01", "2026-12-02T00:00"), ("2026-12-01 18:00", "2026-12-01T18:00"),
        ("2026-12-01T18:00+00:00", "2026-12-02T03:00"),
    ],
)  # fmt: skip
def test_an_end_in_the_zone_of_the_configuration(text: str, expected: str) -> None:
    assert until(text, SEOUL, MONDAY) == datetime.fromisoformat(expected).replace(tzinfo=SEOUL)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("11:59", "lies in the past"), ("2026-01-04", "lies in the past"), ("0h", "lies in the past"),
        ("25:00", "not a time of day"), ("someday", "is not an end: write `friday`"), ("", "is not an end"),
        ("2027-06-01", "too far away"), ("999w", "too far away"), ("2026-13-01", "is not an end"),
    ],
)  # fmt: skip
def test_what_is_no_end_is_refused_with_what_to_write(text: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        until(text, SEOUL, MONDAY)
