"""Hours on wall clocks, dates, and the next instant at which anything changes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.schedule import Hours, Schedule
from sumun.policy.schedule import holds, next_change
from tests.support import strategies

SEOUL, BERLIN = ZoneInfo("Asia/Seoul"), ZoneInfo("Europe/Berlin")
WORKDAYS = frozenset(range(5))


def office(zone: ZoneInfo, start: time = time(9), end: time = time(18), days: frozenset[int] = WORKDAYS) -> Schedule:
    return Schedule(Hours(zone, days, ((start, end),)))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(datetime(2026, 1, 5, 9, 0, tzinfo=SEOUL), True, id="monday at nine in Seoul"),
        pytest.param(datetime(2026, 1, 5, 0, 0, tzinfo=UTC), True, id="the same instant said in UTC"),
        pytest.param(datetime(2026, 1, 5, 8, 59, 59, tzinfo=SEOUL), False, id="a second too early"),
        pytest.param(datetime(2026, 1, 5, 18, 0, tzinfo=SEOUL), False, id="the end is not inside"),
        pytest.param(datetime(2026, 1, 4, 12, 0, tzinfo=SEOUL), False, id="sunday"),
    ],
)
def test_office_hours(at: datetime, *, expected: bool) -> None:
    assert holds(office(SEOUL), at) is expected


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday_night = office(SEOUL, time(22), time(6), frozenset({4}))
    assert holds(friday_night, datetime(2026, 1, 10, 5, 59, tzinfo=SEOUL))
    assert not holds(friday_night, datetime(2026, 1, 9, 5, 59, tzinfo=SEOUL))
    assert next_change(friday_night, datetime(2026, 1, 9, 12, tzinfo=SEOUL)) == datetime(2026, 1, 9, 22, tzinfo=SEOUL)


def test_the_hour_that_spring_skips() -> None:
    """02:30 does not exist in Berlin on 2026-03-29: the rule begins when the clock jumps over it."""
    early = office(BERLIN, time(2, 30), time(5), frozenset(range(7)))
    assert next_change(early, datetime(2026, 3, 29, 0, 30, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert holds(early, datetime(2026, 3, 29, 1, 0, tzinfo=UTC))


def test_the_hour_that_autumn_repeats_counts_both_times() -> None:
    late = office(BERLIN, time(2, 15), time(2, 45), frozenset(range(7)))
    both = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1)]
    assert [holds(late, at) for at in both] == [True, True]
    assert next_change(late, both[0]) == datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    assert next_change(late, datetime(2026, 10, 25, 0, 50, tzinfo=UTC)) == datetime(2026, 10, 25, 1, 15, tzinfo=UTC)


def test_a_week_round_the_clock_never_changes() -> None:
    assert next_change(Schedule(Hours(SEOUL)), datetime(2026, 1, 5, tzinfo=UTC)) is None


def test_until_is_the_first_instant_without_the_rule() -> None:
    end = datetime(2026, 2, 1, tzinfo=UTC)
    assert holds(Schedule(until=end), end - timedelta(microseconds=1))
    assert not holds(Schedule(until=end), end)
    assert next_change(Schedule(until=end), end) is None


@settings(max_examples=200, deadline=None)
@given(strategies.schedules, strategies.instants, st.floats(0, 1, exclude_max=True))
def test_nothing_changes_before_the_next_change(schedule: Schedule, at: datetime, share: float) -> None:
    change = next_change(schedule, at)
    horizon = change or at + timedelta(days=30)
    before = min(at + (horizon - at) * share, horizon - datetime.resolution)
    assert holds(schedule, before) == holds(schedule, at)


@settings(max_examples=200, deadline=None)
@given(strategies.hours, strategies.instants)
def test_an_announced_change_of_hours_is_one(hours: Hours, at: datetime) -> None:
    change = next_change(Schedule(hours), at)
    assert change is None or holds(Schedule(hours), change) is not holds(Schedule(hours), at)
