"""The pages' own words, a file a language, checked when they are loaded."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib.resources import files
from typing import Any, cast, get_origin, get_type_hints

import yaml

from sumun.model.decision import Reason
from sumun.model.verdict import DataExposed
from sumun.pages.asked import Failure
from sumun.pages.offer import Purpose, Result


class Unit(StrEnum):
    """Units of a length of time, the largest first."""

    DAYS = "days"
    HOURS = "hours"
    MINUTES = "minutes"
    SECONDS = "seconds"


_SECONDS = {Unit.DAYS: 86_400, Unit.HOURS: 3_600, Unit.MINUTES: 60, Unit.SECONDS: 1}


class WordsFault(ValueError):
    """A language file that cannot be used; its message names the key."""


@dataclass(frozen=True, slots=True)
class Talk:
    """What one kind of page says first."""

    badge: str
    heading: str
    """With ``{service}``."""
    heading_site: str
    """The same where the catalogue knows no service."""
    lead: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a failure page says."""

    badge: str
    heading: str
    lead: str


@dataclass(frozen=True, slots=True)
class Words:
    """One language; each attribute is a key of its file."""

    direction: str
    """``ltr`` or ``rtl``."""
    time: str
    months: tuple[str, ...]
    block: Talk
    warn: Talk
    justify: Talk
    request_title: str
    request_points: tuple[str, ...]
    guidance_title: str
    guidance_points: tuple[str, ...]
    guidance_source: str
    why: str
    reasons: Mapping[str, str]
    data: str
    exposures: Mapping[str, str]
    next: str
    ask_contact: str
    ask_administrator: str
    tell_contact: str
    tell_administrator: str
    button_mail: str
    button_link: str
    button_report: str
    mail_subject: str
    mail_body: str
    contact: str
    incident: str
    copy_button: str
    copied: str
    details: str
    rule: str
    reference: str
    authority: str
    network: str
    until: str
    time_label: str
    footer: str
    failures: Mapping[str, Trouble]
    continue_button: str
    remembered: str
    not_repeated: str
    no_passing_on: str
    elsewhere: str
    purpose_label: str
    purposes: Mapping[str, str]
    reason_label: str
    reason_hint: str
    justify_button: str
    approval_button: str
    approval: str
    pending: str
    pending_hint: str
    look_again: str
    questions: str
    notice_title: str
    denied: str
    review_title: str
    review_label: str
    review_button: str
    back: str
    lengths: Mapping[str, str]
    results: Mapping[str, Trouble]

    def length(self, of: timedelta) -> str:
        """A length of time in the largest unit of which there are two at least: no language then needs a singular."""
        seconds = int(of.total_seconds())
        unit = next((u for u in Unit if seconds % _SECONDS[u] == 0 and seconds >= 2 * _SECONDS[u]), Unit.SECONDS)
        return self.lengths[unit].format(count=f"{seconds // _SECONDS[unit]:,}")

    def clock(self, at: datetime) -> str:
        """An instant as people of this language write it, in UTC."""
        at = at.astimezone(UTC)
        return self.time.format(
            year=at.year, month=self.months[at.month - 1], day=at.day,
            hour=f"{at.hour:02}", minute=f"{at.minute:02}", second=f"{at.second:02}",
        )  # fmt: skip


_KEYS: Mapping[str, type[StrEnum]] = {
    "reasons": Reason, "exposures": DataExposed, "failures": Failure, "purposes": Purpose, "lengths": Unit,
    "results": Result,
}  # fmt: skip
_PLACES: Mapping[str, frozenset[str]] = {
    "time": frozenset({"year", "month", "day", "hour", "minute", "second"}),
    "block.heading": frozenset({"service"}),
    "warn.heading": frozenset({"service"}),
    "justify.heading": frozenset({"service"}),
    "remembered": frozenset({"length", "service"}),
    "elsewhere": frozenset({"address"}),
    "reason_hint": frozenset({"least"}),
    "approval": frozenset({"approver"}),
    "pending": frozenset({"approver"}),
    **{f"lengths.{unit}": frozenset({"count"}) for unit in ("days", "hours", "minutes", "seconds")},
    "mail_subject": frozenset({"service", "incident"}),
    "mail_body": frozenset({"service", "incident", "time"}),
}
"""Texts with places to fill; a translation must use each of them and no other."""


def parse_words(text: str) -> Words:
    """Read one language file; raises WordsFault."""
    words = _build(Words, yaml.safe_load(text), "")
    if words.direction not in ("ltr", "rtl") or len(words.months) != 12:
        raise WordsFault("`direction` is `ltr` or `rtl`, and `months` has twelve names")
    return words


def _build[T](kind: type[T], value: object, where: str) -> T:
    given = _mapping(value, where)
    hints = get_type_hints(kind)
    _same_keys(set(given), {field.name for field in fields(cast("Any", kind))}, where)
    return kind(**{key: _value(hints[key], given[key], f"{where}{key}") for key in hints})


def _value(hint: Any, value: object, where: str) -> object:
    if hint is str:
        return _text(value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or not value:
            raise WordsFault(f"`{where}` is not a list of texts")
        return tuple(_text(item, where) for item in value)
    if get_origin(hint) is Mapping:
        return _by_member(hint.__args__[1], value, where)
    return _build(hint, value, f"{where}.")


def _by_member(hint: Any, value: object, where: str) -> dict[str, object]:
    """A text, or a group of texts, for every member of a closed set."""
    given = _mapping(value, where)
    _same_keys(set(given), {str(member) for member in _KEYS[where]}, f"{where}.")
    return {key: _value(hint, item, f"{where}.{key}") for key, item in given.items()}


def _mapping(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise WordsFault(f"`{where}` is not a group of texts")
    return value


def _same_keys(given: set[str], wanted: set[str], where: str) -> None:
    if given != wanted:
        odd = sorted(f"{where}{key}" for key in given ^ wanted)
        raise WordsFault(f"missing or unknown keys: {', '.join(f'`{key}`' for key in odd)}")


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise WordsFault(f"`{where}` is not a text; write it in quotes")
    places = {name for _, name, _, _ in string.Formatter().parse(value) if name is not None}
    if places != _PLACES.get(where, frozenset()):
        raise WordsFault(f"`{where}`: the places in braces are not those of the English text")
    return value


def _load() -> dict[str, Words]:
    folder = files("sumun.pages") / "languages"
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    return {entry.name.removesuffix(".yaml").lower(): parse_words(entry.read_text("utf-8")) for entry in found}


LANGUAGES: Mapping[str, Words] = _load()
"""By language tag in lower case."""
