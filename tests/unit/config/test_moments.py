"""Days, hours and dates as administrators write them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config import moments
from sumun.config.fault import Unreadable
from sumun.model.schedule import Hours, Schedule
from sumun.policy.schedule import holds

SEOUL = ZoneInfo("Asia/Seoul")
MIDNIGHT = time()


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-fri", {0, 1, 2, 3, 4}),
        ("Sat - Mon", {5, 6, 0}),
        ("wednesday", {2}),
        ("sun-sun", {6}),
        ("mon-sun", set(range(7))),
    ],
)
def test_days(text: str, days: set[int]) -> None:
    assert moments.days(text) == days


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("09:00-18:00", (time(9), time(18))),
        ("9:00 - 18:30", (time(9), time(18, 30))),
        ("22:00-06:00", (time(22), time(6))),
        ("22:00-24:00", (time(22), MIDNIGHT)),
        ("00:00-24:00", (MIDNIGHT, MIDNIGHT)),
    ],
)
def test_intervals(text: str, interval: moments.Interval) -> None:
    assert moments.interval(text) == interval


def test_an_interval_written_over_night_holds_over_night() -> None:
    schedule = Schedule(Hours(SEOUL, moments.days("mon"), (moments.interval("22:00-06:00"),)))
    monday, tuesday = datetime(2026, 1, 5, tzinfo=SEOUL), datetime(2026, 1, 6, tzinfo=SEOUL)
    answers = [holds(schedule, at) for at in (monday.replace(hour=5), monday.replace(hour=23), tuesday.replace(hour=5))]
    assert answers == [False, True, True]


def test_a_whole_day_holds_from_midnight_to_midnight() -> None:
    schedule = Schedule(Hours(SEOUL, moments.days("mon"), (moments.interval("00:00-24:00"),)))
    monday = datetime(2026, 1, 5, tzinfo=SEOUL)
    assert [holds(schedule, monday.replace(hour=h, minute=59)) for h in (0, 23)] == [True, True]
    assert not holds(schedule, datetime(2026, 1, 6, 0, 0, tzinfo=SEOUL))


def test_a_date_as_an_end_includes_its_whole_day() -> None:
    assert moments.ending(date(2025, 7, 31), SEOUL) == datetime(2025, 7, 31, 15, tzinfo=UTC)
    assert moments.beginning(date(2025, 2, 6), SEOUL) == datetime(2025, 2, 5, 15, tzinfo=UTC)


def test_a_time_is_read_in_the_zone_unless_it_names_its_own() -> None:
    assert moments.ending(datetime(2025, 2, 6, 18), SEOUL) == datetime(2025, 2, 6, 9, tzinfo=UTC)  # noqa: DTZ001 - as the file says it
    own = moments.moment("2025-02-06T18:00Z")
    assert moments.ending(own, SEOUL) == datetime(2025, 2, 6, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (moments.days, "montag", "`montag` is not a day"),
        (moments.interval, "9-18", "`9-18` is not a time of day: write it as `09:00-18:00`"),
        (moments.interval, "25:00-26:00", "from `00:00` to `24:00`"),
        (moments.interval, "24:00-06:00", "from `00:00` to `24:00`"),
        (moments.interval, "09:00-09:00", "for the whole day write `00:00-24:00`"),
        (moments.moment, "2025-02-30", "`2025-02-30` is not a date: day is out of range for month"),
        (moments.moment, "31.7.2025", "write it as `2025-03-01` or `2025-03-01T18:00`"),
        (moments.day, "2025-07-01T09:00", "write the date alone, such as `2025-07-01`"),
        (moments.zone, "KST", "did you mean `Asia/Seoul`?"),
        (moments.zone, "seoul", "did you mean `Asia/Seoul`?"),
        (moments.zone, "Asia/Soul", "did you mean `Asia/Seoul`?"),
        (moments.zone, "../../etc/passwd", "is not a time zone"),
        (moments.zone, "Asia", "is not a time zone"),
    ],
)
def test_what_is_said(read: Callable[[str], object], text: str, message: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("at", [date(9999, 12, 31), datetime(1, 1, 1)])  # noqa: DTZ001 - as the file says it
def test_the_ends_of_the_calendar_are_refused(at: moments.Moment) -> None:
    with pytest.raises(Unreadable, match="too far away"):
        moments.ending(at, SEOUL)


@given(st.sampled_from([moments.days, moments.interval, moments.moment, moments.zone]), st.text(max_size=30))
def test_any_text_is_read_or_refused(read: Callable[[str], object], text: str) -> None:
    with suppress(Unreadable):
        assert read(text)
