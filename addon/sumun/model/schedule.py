"""When a rule holds: hours of the week, and an interval of dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of the week on the wall clock of one zone; daylight saving follows the zone."""

    zone: ZoneInfo
    days: frozenset[int] = frozenset(range(7))
    """Weekdays on which an interval begins, Monday 0."""
    times: tuple[tuple[time, time], ...] = ((time.min, time.min),)
    """Half-open intervals; an end not after its start lies on the next day."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """All conditions of time together; every datetime is aware."""

    hours: Hours | None = None
    start: datetime | None = None
    """First instant at which the rule holds."""
    until: datetime | None = None
    """First instant at which it no longer holds."""
