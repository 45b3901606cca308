"""Days, hours and dates as administrators write them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from sumun.config.fault import Unreadable, did_you_mean, quoted

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAYS = {word: number for names in (_DAYS, _FULL_DAYS) for number, word in enumerate(names)}
_TIMES = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})", re.ASCII)
_MINUTES = 24 * 60
_LENGTH = re.compile(r"(\d{1,4})\s*(m|h|d|w)", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_TIME = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)
_LONGEST = timedelta(days=366)
_ZONES_MEANT = {"KST": "Asia/Seoul", "JST": "Asia/Tokyo"}

type Moment = date | datetime
"""A date alone stands for the whole day; a datetime without offset is read in the zone that applies."""
type Interval = tuple[time, time]


def zone(text: str) -> ZoneInfo:
    """Read a time zone by its name in the tz database."""
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        known = available_timezones()
        city = _ZONES_MEANT.get(text.strip().upper()) or next(
            (name for name in sorted(known) if name.lower().endswith(f"/{text.strip().lower()}")), None
        )
        hint = f"; did you mean `{city}`?" if city else did_you_mean(text, known)
        raise Unreadable(f"{quoted(text)} is not a time zone: write one such as `Asia/Seoul`{hint}") from None


def days(text: str) -> frozenset[int]:
    """Read ``mon``, ``mon-fri`` or ``sat-mon`` as weekdays, Monday 0."""
    first, dash, last = (part.strip() for part in text.lower().partition("-"))
    ends = [_weekday(first, text), _weekday(last, text)] if dash else [_weekday(first, text)]
    return frozenset((ends[0] + offset) % 7 for offset in range((ends[-1] - ends[0]) % 7 + 1))


def _weekday(word: str, text: str) -> int:
    if word not in _WEEKDAYS:
        raise Unreadable(
            f"{quoted(text)} is not a day: write `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun` or `mon-fri`"
        )
    return _WEEKDAYS[word]


def interval(text: str) -> Interval:
    """Read ``09:00-18:00``; an end not after the start lies on the next day, ``24:00`` is midnight."""
    if not (found := _TIMES.fullmatch(text.strip())):
        raise Unreadable(f"{quoted(text)} is not a time of day: write it as `09:00-18:00`")
    start, end = (int(found[i]) * 60 + int(found[i + 1]) for i in (1, 3))
    if start >= _MINUTES or end > _MINUTES or int(found[2]) > 59 or int(found[4]) > 59:
        raise Unreadable(f"{quoted(text)} is not a time of day: from `00:00` to `24:00`")
    if start == end:
        raise Unreadable(f"{quoted(text)} ends when it begins: for the whole day write `00:00-24:00`")
    return _clock(start), _clock(end)


def _clock(minutes: int) -> time:
    return time(minutes // 60 % 24, minutes % 60)


def moment(text: str) -> Moment:
    """Read ``2025-03-01``, ``2025-03-01 18:00`` or ``2025-03-01T18:00+09:00``."""
    text = text.strip()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
        if re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", text, re.ASCII):
            return datetime.fromisoformat(text)
    except ValueError as why:
        raise Unreadable(f"{quoted(text)} is not a date: {why}") from None
    raise Unreadable(f"{quoted(text)} is not a date: write it as `2025-03-01` or `2025-03-01T18:00`")


def day(text: str) -> date:
    """Read a date without a time of day."""
    found = moment(text)
    if isinstance(found, datetime):
        raise Unreadable(f"{quoted(text)} has a time of day: write the date alone, such as `{found.date()}`")
    return found


def beginning(of: Moment, where: ZoneInfo) -> datetime:
    """Return the first instant of it, in UTC."""
    return _instant(of if isinstance(of, datetime) else datetime.combine(of, time.min), where)


def ending(of: Moment, where: ZoneInfo) -> datetime:
    """Return the first instant after it, in UTC: a date includes its whole day."""
    if isinstance(of, datetime):
        return _instant(of, where)
    try:
        return beginning(of + timedelta(days=1), where)
    except OverflowError:
        raise Unreadable(f"`{of}` is too far away: leave the key out") from None


def until(text: str, where: ZoneInfo, at: datetime) -> datetime:
    """Read an end that lies ahead: ``friday``, ``tomorrow``, ``8h``, ``18:00`` or a date, which includes its whole day.

    A weekday is the next one of its name, today included. Raises Unreadable.
    """
    end = _ahead(text.strip(), where, at)
    if end <= at:
        raise Unreadable(f"{quoted(text)} lies in the past: it is {at.astimezone(where):%A %Y-%m-%d %H:%M %Z} now")
    if end - at > _LONGEST:
        raise Unreadable(f"{quoted(text)} is too far away: {_LONGEST.days} days at most, and then look again")
    return end


def _ahead(text: str, where: ZoneInfo, at: datetime) -> datetime:
    today = at.astimezone(where).date()
    word = text.lower()
    if word in ("today", "tomorrow"):
        return ending(today + timedelta(days=word == "tomorrow"), where)
    if word in _WEEKDAYS:
        return ending(today + timedelta(days=(_WEEKDAYS[word] - today.weekday()) % 7), where)
    if found := _LENGTH.fullmatch(word):
        return at + timedelta(**{_UNITS[found[2]]: int(found[1])})
    if found := _TIME.fullmatch(text):
        return _instant(datetime.combine(today, _time_of_day(text, int(found[1]), int(found[2]))), where)
    try:
        return ending(moment(text), where)
    except Unreadable:
        message = "is not an end: write `friday`, `tomorrow`, `8h`, `3d`, `18:00`, `2026-12-01` or `2026-12-01 18:00`"
        raise Unreadable(f"{quoted(text)} {message}") from None


def _time_of_day(text: str, hour: int, minute: int) -> time:
    if hour > 23 or minute > 59:
        raise Unreadable(f"{quoted(text)} is not a time of day: from `00:00` to `23:59`")
    return time(hour, minute)


def _instant(at: datetime, where: ZoneInfo) -> datetime:
    try:
        return (at if at.tzinfo else at.replace(tzinfo=where)).astimezone(UTC)
    except OverflowError:
        raise Unreadable(f"`{at}` is too far away: leave the key out") from None
