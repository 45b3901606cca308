"""Does a rule hold at an instant, and when does that change?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sumun.model.schedule import Hours, Schedule

_HORIZON = timedelta(days=9)
"""A week, and a day either side for intervals that cross midnight and for zone offsets."""


def holds(schedule: Schedule, at: datetime) -> bool:
    """Whether every condition of time holds at this instant."""
    if schedule.start is not None and at < schedule.start:
        return False
    if schedule.until is not None and at >= schedule.until:
        return False
    return schedule.hours is None or _within(schedule.hours, at)


def next_change(schedule: Schedule, at: datetime) -> datetime | None:
    """First instant after ``at`` at which ``holds`` may differ; None if it stays as it is."""
    if schedule.until is not None and at >= schedule.until:
        return None
    if schedule.start is not None and at < schedule.start:
        return schedule.start
    turns = [schedule.until] if schedule.until is not None else []
    if schedule.hours is not None:
        turns += _turn(schedule.hours, at)
    return min(turns, default=None)


def _within(hours: Hours, at: datetime) -> bool:
    """Compare wall clocks, as people read opening hours; a repeated hour in autumn counts both times."""
    local = at.astimezone(hours.zone)
    clock, today = local.time(), local.weekday()
    return any(
        (today in hours.days and start <= clock < end)
        if start < end
        else (today in hours.days and clock >= start) or ((today - 1) % 7 in hours.days and clock < end)
        for start, end in hours.times
    )


def _turn(hours: Hours, at: datetime) -> list[datetime]:
    now = _within(hours, at)
    later = sorted(instant for instant in _instants(hours, at) if instant > at)
    return next(([instant] for instant in later if _within(hours, instant) is not now), [])


def _instants(hours: Hours, at: datetime) -> Iterator[datetime]:
    """Every instant near ``at`` at which a wall clock can pass a boundary or be set forward or back."""
    first = at.astimezone(hours.zone).date() - timedelta(days=1)
    boundaries = {clock for interval in hours.times for clock in interval} | {time.min}
    for offset in range(_HORIZON.days + 1):
        day = first + timedelta(days=offset)
        for clock in boundaries:
            yield from _readings(day, clock, hours.zone)
        yield from _clock_change(day, hours.zone)


def _readings(day: date, clock: time, zone: ZoneInfo) -> Iterator[datetime]:
    for fold in (0, 1):
        yield datetime.combine(day, clock.replace(fold=fold), tzinfo=zone).astimezone(UTC)


def _clock_change(day: date, zone: ZoneInfo) -> Iterator[datetime]:
    """The instant within this UTC day at which the zone's offset changes, found by bisection to the second."""
    start = datetime.combine(day, time.min, tzinfo=UTC)
    low, high = 0, 86_400

    def offset(second: int) -> timedelta | None:
        return (start + timedelta(seconds=second)).astimezone(zone).utcoffset()

    if offset(low) == offset(high):
        return
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
    yield start + timedelta(seconds=high)
