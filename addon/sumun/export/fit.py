"""Entries to those that a format can say, and what is lost on the way.

Whatever is lost, the file never blocks a name that the policy does not block.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sumun.model.listed import Entry, Hold
from sumun.model.service import Match, Pattern

type Sayable = frozenset[tuple[Match, bool]]
"""Kinds of entries: how they match, and whether they list a name (else they spare it)."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One entry that a file does not say, or not whole."""

    entry: Entry
    why: str


@dataclass(slots=True)
class Fitted:
    """What can be said."""

    entries: list[Entry] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


def fit(entries: Iterable[Entry], sayable: Sayable) -> Fitted:
    """Entries of which the most specific counts, in what a format can say of them."""
    return _Fitting(tuple(entries), sayable).fitted()


class _Fitting:
    def __init__(self, entries: tuple[Entry, ...], sayable: Sayable) -> None:
        self._entries, self._sayable = entries, sayable
        self._suffixes = {e.pattern.text: e for e in entries if e.pattern.match is Match.SUFFIX}
        self._spared = {e.pattern.text for e in entries if e.pattern.match is Match.EXACT and not e.hold.carries}
        self._globs = [e for e in entries if e.pattern.match is Match.GLOB and e.hold.carries]
        self._dropped: set[Entry] = set()
        """Entries that have an exception that cannot be said."""

    def fitted(self) -> Fitted:
        found = Fitted()
        spared = [self._exception(entry, found) for entry in self._entries if not entry.hold.carries]
        for entry in self._entries:
            if entry.hold.carries:
                self._listed(entry, found)
        found.entries += [entry for entry in spared if entry]
        return found

    def _listed(self, entry: Entry, found: Fitted) -> None:
        said: Entry | None = entry
        why = ""
        if entry in self._dropped:
            said, why = None, "left out: the format has no way to say an exception to it"
        elif not self._says(entry.pattern):
            said, why = self._narrower(entry)
        if said:
            found.entries.append(said)
        if why:
            found.losses.append(Loss(entry, why))

    def _says(self, listed: Pattern) -> bool:
        """Where patterns can be said, ``*.`` in front means all below a name, and more than one label."""
        return (listed.match, True) in self._sayable and not (
            listed.match is Match.GLOB and listed.text.startswith("*.")
        )

    def _narrower(self, entry: Entry) -> tuple[Entry | None, str]:
        text = entry.pattern.text
        if entry.pattern.match is not Match.SUFFIX or text in self._spared:
            kind = "names below a name without the name itself"
            words = {Match.EXACT: "one name without all below it", Match.GLOB: "patterns", Match.SUFFIX: kind}
            return None, f"left out: the format has no way to say {words[entry.pattern.match]}"
        return Entry(Pattern(text, Match.EXACT)), "narrowed: the name alone, without what is below it"

    def _exception(self, entry: Entry, found: Fitted) -> Entry | None:
        """The exception as it can be said; where it cannot be, what it is an exception to has to go."""
        covers = [cover for cover in self._covers(entry.pattern) if self._says(cover.pattern)]
        if not covers:
            return None  # nothing that is written would block it
        if (entry.pattern.match, False) in self._sayable:
            return entry
        wider = entry.pattern.match is Match.EXACT and (Match.SUFFIX, False) in self._sayable
        if wider and entry.pattern.text not in self._suffixes:
            found.losses.append(Loss(entry, "widened: the exception holds for what is below it too"))
            return Entry(Pattern(entry.pattern.text), Hold.SPARED)
        self._dropped.update(covers)
        return None

    def _covers(self, pattern: Pattern) -> Iterator[Entry]:
        """The entries that would block what an exception spares, if it were not there."""
        text = pattern.text
        if pattern.match is not Match.GLOB:
            yield from (glob for glob in self._globs if glob.pattern.expression.fullmatch(text))
        above = text if pattern.match is Match.EXACT else text.partition(".")[2]
        while above:
            if found := self._suffixes.get(above):
                yield found
                return
            above = above.partition(".")[2]
