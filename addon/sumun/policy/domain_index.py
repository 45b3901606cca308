"""Name to entries: exact names, suffixes, and globs within one label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern


@dataclass(slots=True)
class _Node[T]:
    """All that is filed under one name; one look-up a label finds it."""

    exact: list[T] = field(default_factory=list)
    suffix: list[T] = field(default_factory=list)
    globs: list[tuple[re.Pattern[str], T]] = field(default_factory=list)
    """Filed under the literal labels that follow the last asterisk, the longest pattern first."""


class NameIndex[T](Protocol):
    """What finds entries by name."""

    def lookup(self, name: DomainName) -> list[list[T]]:
        """All entries that cover the name, in groups from the most specific to the widest, none of them empty."""
        ...


class ListIndex(NameIndex[str], Protocol):
    """What finds lists by name, and knows what is on them."""

    def patterns_of(self, lists: frozenset[str]) -> Iterator[Pattern]:
        """Every pattern that entries of these lists are filed under."""
        ...


class DomainIndex[T]:
    """Immutable after construction.

    INVARIANT: patterns and names are canonical (A-labels, lower case), so comparing text is enough.
    """

    def __init__(self, entries: Iterable[tuple[Pattern, T]]) -> None:
        self._nodes: dict[str, _Node[T]] = {}
        self._globs: list[Pattern] = []
        by_length = sorted(entries, key=lambda entry: -len(entry[0].text))
        for pattern, value in by_length:
            self._add(pattern, value)

    def _add(self, pattern: Pattern, value: T) -> None:
        if pattern.match is Match.GLOB:
            self._nodes.setdefault(pattern.tail, _Node()).globs.append((pattern.expression, value))
            self._globs.append(pattern)
        elif pattern.match is Match.EXACT:
            self._nodes.setdefault(pattern.text, _Node()).exact.append(value)
        else:
            self._nodes.setdefault(pattern.text, _Node()).suffix.append(value)

    def lookup(self, name: DomainName) -> list[list[T]]:
        """All entries that cover the name, in groups from the most specific to the widest.

        The name itself comes first (exact entries before a suffix that equals it), then globs, then
        suffixes from the longest to the shortest.
        """
        literal: list[list[T]] = []
        globs: list[T] = []
        wider: list[list[T]] = []
        suffix = name.text
        while suffix:  # for every name that anybody asks for, so without a generator between
            if node := self._nodes.get(suffix):
                if suffix == name.text:
                    literal = [node.exact, node.suffix]
                else:
                    wider.append(node.suffix)
                globs += [value for regex, value in node.globs if regex.fullmatch(name.text)]
            suffix = suffix.partition(".")[2]
        return [group for group in (*literal, globs, *wider) if group]

    def covers(self, name: DomainName) -> bool:
        """Whether any entry covers the name."""
        return bool(self.lookup(name))

    def patterns(self) -> Iterator[Pattern]:
        """Every pattern that entries were filed under; one that was given twice may come twice."""
        for text, node in self._nodes.items():
            if node.exact:
                yield Pattern(text, Match.EXACT)
            if node.suffix:
                yield Pattern(text)
        yield from self._globs
