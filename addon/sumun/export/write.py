"""Entries to one file in one format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sumun.export import zone
from sumun.export.fit import Fitted, Loss, fit
from sumun.export.formats import Format
from sumun.export.names import entries_for
from sumun.export.ranks import ranked
from sumun.model.listed import Entry, Hold, carrying
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern

_LONGEST = 240
"""Characters of a name that still fits below the name of a zone, with an asterisk in front."""

type Filed = Callable[[DomainName], Iterable[Iterable[str]]]
"""What an index files under a name, in groups from the most specific to the widest."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above the entries."""

    comments: tuple[str, ...] = ()
    serial: int = 1
    """Of a zone, 32 bits."""
    ttl: int = 300
    """Of the records of a zone, in seconds."""


@dataclass(frozen=True, slots=True)
class Written:
    """One file, and what it does not say."""

    text: str
    entries: tuple[Entry, ...]
    losses: tuple[Loss, ...]


def write(entries: Iterable[Entry], form: Format, heading: Heading = Heading()) -> Written:
    """Write entries of which the most specific counts."""
    fitted = fit(entries, form.sayable)
    return _written(_ranked(fitted) if form.ranks else fitted, form, heading)


def write_list(entries: Iterable[Entry], filed: Filed, form: Format, heading: Heading = Heading()) -> Written:
    """Write a list as it is where the format can say it so; else what amounts to the same."""
    known = tuple(entries)
    if form.ranks and not any(e.hold is Hold.SPARED for e in known):
        globs = [e for e in known if e.pattern.match is Match.GLOB]
        lost = [Loss(e, "left out: the format has no way to say patterns") for e in globs]
        return _written(Fitted([e for e in known if e not in set(globs)], lost), form, heading)
    if all(e.hold is Hold.LISTED and not e.unless for e in known):
        return write(known, form, heading)
    patterns = {e.pattern for e in known} | {Pattern(name) for e in known for name in e.unless}
    return write(entries_for(patterns, lambda name: bool(carrying(filed(name), name))), form, heading)


def _ranked(fitted: Fitted) -> Fitted:
    found = Fitted(losses=fitted.losses)
    for item in ranked(fitted.entries):
        if isinstance(item, Loss):
            found.losses.append(item)
        else:
            found.entries.append(item)
    return found


def _written(fitted: Fitted, form: Format, heading: Heading) -> Written:
    kept: list[Entry] = []
    losses = list(fitted.losses)
    for entry in _minimal(fitted.entries) if form.minimal else fitted.entries:
        if why := _unwritable(entry):
            losses.append(Loss(entry, why))
        else:
            kept.append(entry)
    lines = [*_head(form, heading), *form.lines(kept)]
    return Written("\n".join(lines) + "\n", tuple(kept), tuple(losses))


def _head(form: Format, heading: Heading) -> Iterator[str]:
    for comment in heading.comments:
        yield f"{form.comment} {comment}"
    if form.zone:
        yield from zone.head(heading.serial, heading.ttl)
    yield from form.opening


def _unwritable(entry: Entry) -> str:
    if "\\" in entry.pattern.text:
        return "left out: it has characters that no host name has"
    return "left out: too long for a name in a zone" if len(entry.pattern.text) > _LONGEST else ""


def _minimal(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Without what a wider entry says already; where this is asked for, there are no exceptions."""
    known = tuple(entries)
    suffixes = {e.pattern.text for e in known if e.pattern.match is Match.SUFFIX}
    for entry in known:
        text = entry.pattern.text
        wider = list(DomainName(text).suffixes())[entry.pattern.match is Match.SUFFIX :]
        if suffixes.isdisjoint(wider):
            yield entry
