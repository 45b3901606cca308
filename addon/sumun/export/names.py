"""Names that are blocked, asked one by one, to the fewest entries that say so.

Only the most specific entry counts among those made here: ``LISTED`` puts a name and what is below it in, ``SPARED``
takes it out again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sumun.model.listed import Entry, Hold
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern

type Covers = Callable[[DomainName], bool]

_FRESH = "a--sumun.b--sumun.c--sumun"
"""Labels that nobody has: what holds of a name with these in front holds of all names below that nothing singles out.
Three, so that a glob, which says how many labels there are, does not speak of them."""
_LABEL = "d--sumun"


def entries_for(patterns: Iterable[Pattern], covers: Covers) -> Iterator[Entry]:
    """Entries for all names that ``covers``, whose answer may change at these patterns and nowhere else.

    What it says of names that no pattern covers is not written down.
    """
    return _Writing(frozenset(patterns), covers).entries()


class _Writing:
    def __init__(self, patterns: frozenset[Pattern], covers: Covers) -> None:
        self._covers = covers
        by_kind: dict[Match, list[str]] = {match: [] for match in Match}
        for pattern in patterns:
            by_kind[pattern.match].append(pattern.text)
        self._suffixes = {text: covers(DomainName(f"{_FRESH}.{text}")) for text in by_kind[Match.SUFFIX]}
        self._literal = {*by_kind[Match.EXACT], *by_kind[Match.SUFFIX]}
        self._globs = sorted(by_kind[Match.GLOB], key=lambda text: (-len(text), text))
        self._by_tail: dict[str, list[tuple[Pattern, bool]]] = {}

    def entries(self) -> Iterator[Entry]:
        """Globs first, since they say something of literal names too, then the rest in an order that people read."""
        for text in self._globs:
            yield from self._of_glob(Pattern(text, Match.GLOB))
        for text in sorted(self._literal, key=lambda name: name.split(".")[::-1]):
            yield from self._of_literal(text)

    def _of_glob(self, glob: Pattern) -> Iterator[Entry]:
        sample = glob.text.replace("*", _LABEL)
        blocked = self._covers(DomainName(sample))
        if blocked != self._around(sample):
            self._by_tail.setdefault(glob.tail, []).append((glob, blocked))
            yield Entry(glob, _hold(blocked))

    def _of_literal(self, text: str) -> Iterator[Entry]:
        said = self._around(text)
        below = self._suffixes.get(text)
        if below is not None and below != self._wider(text):
            said = below
            yield Entry(Pattern(text), _hold(below))
        blocked = self._covers(DomainName(text))
        if blocked != said:
            yield Entry(Pattern(text, Match.EXACT), _hold(blocked))

    def _wider(self, text: str) -> bool:
        """What the nearest suffix above a name says."""
        above = text
        while above := above.partition(".")[2]:
            if (below := self._suffixes.get(above)) is not None:
                return below
        return False

    def _around(self, text: str) -> bool:
        """What is said of a name without entries of its own: by a glob, or by the nearest suffix above."""
        above = text
        while above := above.partition(".")[2]:
            for glob, blocked in self._by_tail.get(above, ()):
                if glob.expression.fullmatch(text):
                    return blocked
        return self._wider(text)


def _hold(blocked: bool) -> Hold:
    return Hold.LISTED if blocked else Hold.SPARED
