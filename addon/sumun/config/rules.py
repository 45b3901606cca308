"""Raw rules and exemptions to those of the model, with the checks that concern one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sumun.config import moments
from sumun.config.document import Path
from sumun.config.fault import did_you_mean, quoted
from sumun.config.moments import Moment
from sumun.config.raw_rule import RawDomain, RawExemption, RawHours, RawRule
from sumun.config.values import pattern
from sumun.model.rule import Conditions, Exemption, OnPinned, Rule
from sumun.model.schedule import Hours, Schedule
from sumun.model.service import Pattern

type Report = Callable[[Path, str], None]
"""Takes a fault at a path of the sound part of the file."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a rule may name."""

    services: frozenset[str]
    categories: frozenset[str]
    lists: frozenset[str]
    zone: ZoneInfo
    """For dates and hours without a zone of their own."""


def build_rule(raw: RawRule, known: Known, path: Path, fault: Report) -> Rule:
    """Make the rule that the file means, and report what cannot be meant."""
    _check_names(raw, known, path, fault)
    rule = Rule(
        id=raw.id,
        action=raw.action,
        when=_conditions(raw),
        schedule=_schedule(raw, known.zone, path, fault),
        mode=raw.mode,
        reason=raw.reason,
        reference=raw.reference,
        authority=raw.authority,
        review=raw.review,
        ttl=raw.ttl,
        approver=raw.approver,
        tenant=tuple((raw.tenant or {}).items()),
        on_pinned=raw.on_pinned,
        sinkhole=tuple(raw.sinkhole or ()),
    )
    for key, message in _contradictions(rule):
        fault((*path, key), message)
    return rule


def _conditions(raw: RawRule) -> Conditions:
    def as_set[T](values: list[T] | None) -> frozenset[T] | None:
        return None if values is None else frozenset(values)

    return Conditions(
        services=as_set(raw.services),
        categories=as_set(raw.categories),
        vendor_countries=as_set(raw.vendor_countries),
        data_countries=as_set(raw.data_countries),
        on_premises=raw.on_premises,
        domains=None if raw.domains is None else tuple(map(_pattern, raw.domains)),
        lists=as_set(raw.lists),
        clients=None if raw.clients is None else tuple(raw.clients),
        users=as_set(raw.users),
        models=None if raw.models is None else tuple(raw.models),
        content=as_set(raw.content),
        uploads=raw.uploads,
    )


def _pattern(entry: Pattern | RawDomain) -> Pattern:
    return entry if isinstance(entry, Pattern) else pattern(entry.name, entry.match)


def _check_names(raw: RawRule, known: Known, path: Path, fault: Report) -> None:
    for n, service in enumerate(raw.services or ()):
        if message := unknown_service(service, known):
            fault((*path, "services", n), message)
    for n, category in enumerate(raw.categories or ()):
        if category not in known.categories and category != "*":
            hint = did_you_mean(category, known.categories)
            fault((*path, "categories", n), f"unknown category {quoted(category)}{hint}")
    for n, list_ in enumerate(raw.lists or ()):
        if list_ not in known.lists:
            hint = did_you_mean(list_, known.lists) or ": it has to stand under `lists`"
            fault((*path, "lists", n), f"unknown list {quoted(list_)}{hint}")


def unknown_service(service: str, known: Known) -> str:
    """Say what is wrong with the id of a service; empty where it is one."""
    if service in known.services:
        return ""
    if "*" in service:
        return f'{quoted(service)}: a service is named by its id; for every service write `categories: ["*"]`'
    if service in known.categories:
        return f"{quoted(service)} is a category: write `categories: [{service}]`"
    return f"unknown service {quoted(service)}{did_you_mean(service, known.services)}"


def _contradictions(rule: Rule) -> Iterator[tuple[str, str]]:
    """Keys that make no sense beside the others."""
    if rule.sinkhole and rule.action.lets_through:
        yield "sinkhole", f"`sinkhole` goes with `block`, `warn` or `justify`: `{rule.action}` leads nobody elsewhere"
    if rule.tenant and not rule.action.lets_through:
        yield (
            "tenant",
            f"`tenant` goes with `allow` or `monitor`: nothing of a request under `{rule.action}` is sent on",
        )
    if rule.on_pinned is OnPinned.SPLICE and not rule.action.lets_through and not rule.when.looks_inside:
        yield (
            "on_pinned",
            f"`on_pinned: splice` would let through what `{rule.action}` stops: it goes with `tenant`, `models`, "
            "`content` or `uploads`",
        )
    if rule.tenant and not rule.when.names_a_destination:
        yield "tenant", "`tenant` without a destination would open every connection: name `services` or `domains`"


def _schedule(raw: RawRule, zone: ZoneInfo, path: Path, fault: Report) -> Schedule:
    where = raw.hours.zone if raw.hours and raw.hours.zone else zone
    start = instant(moments.beginning, raw.from_, where, (*path, "from"), fault)
    until = instant(moments.ending, raw.until, where, (*path, "until"), fault)
    if start and until and start >= until:
        fault((*path, "until"), f"`until: {raw.until}` is not after `from: {raw.from_}`: the rule would never hold")
    return Schedule(_hours(raw.hours, where, path, fault), start, until)


def instant(
    reading: Callable[[Moment, ZoneInfo], datetime], given: Moment | None, zone: ZoneInfo, path: Path, fault: Report
) -> datetime | None:
    """Place a moment of the file in time; None where it is not given or cannot be placed."""
    try:
        return None if given is None else reading(given, zone)
    except ValueError as why:
        fault(path, str(why))
        return None


def _hours(raw: RawHours | None, zone: ZoneInfo, path: Path, fault: Report) -> Hours | None:
    if raw is None:
        return None
    if raw.days is None and raw.times is None:
        fault((*path, "hours"), "`hours` needs `days`, `times` or both")
        return None
    days = frozenset().union(*raw.days) if raw.days else Hours(zone).days
    return Hours(zone, days, tuple(raw.times) if raw.times else Hours(zone).times)


def build_exemption(raw: RawExemption, known: Known, path: Path, fault: Report) -> Exemption | None:
    """Make the exemption that the file means; None where its end cannot be placed in time."""
    if (raw.client is None) == (raw.user is None):
        fault(path, "an exemption is for a `client` or for a `user`: give one of them")
    if message := unknown_service(raw.service, known):
        fault((*path, "service"), message)
    until = instant(moments.ending, raw.until, known.zone, (*path, "until"), fault)
    if until is None:
        return None
    return Exemption(raw.id, raw.service, until, raw.client, raw.user, raw.reason, raw.approver)
