"""What a line of a list says of a name: that the list carries it, or that it does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from sumun.model.name import DomainName
from sumun.model.service import Pattern


class Hold(StrEnum):
    """How firmly an entry holds: of those that cover a name the highest rank decides, and then the most specific.

    So one order serves the syntaxes in which the longest name wins (RPZ, dnsmasq, Unbound) and Adblock's, where an
    exception wins over every block, and ``$important`` over every exception.
    """

    LISTED = "+"
    SPARED = "-"
    """Taken out again, unless something more specific puts it back."""
    EXCEPTED = "@"
    """Taken out, however specific the rest is."""
    IMPORTANT = "!"
    """Listed in spite of exceptions."""
    ALWAYS_EXCEPTED = "="
    """Taken out in spite of that too."""

    @property
    def rank(self) -> int:
        """0 to 3; see the class."""
        return _RANKS[self]

    @property
    def carries(self) -> bool:
        """Whether the name is on the list."""
        return self in (Hold.LISTED, Hold.IMPORTANT)


_RANKS = {Hold.LISTED: 0, Hold.SPARED: 0, Hold.EXCEPTED: 1, Hold.IMPORTANT: 2, Hold.ALWAYS_EXCEPTED: 3}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list."""

    pattern: Pattern
    hold: Hold = Hold.LISTED
    unless: tuple[str, ...] = ()
    """Names for which, with all below them, the entry does not exist."""

    def filed_as(self, list_id: str) -> str:
        """What an index files under the pattern; an ordinary entry is the list's id alone."""
        if self.hold is Hold.LISTED and not self.unless:
            return list_id
        return " ".join((list_id, self.hold, *self.unless))


@dataclass(frozen=True, slots=True)
class Filed:
    """What ``Entry.filed_as`` has put together."""

    list: str
    hold: Hold
    unless: frozenset[str]

    @classmethod
    def read(cls, text: str) -> Filed:
        """Take it apart again."""
        list_id, *more = text.split(" ")
        return cls(list_id, Hold(more[0]) if more else Hold.LISTED, frozenset(more[1:]))


_read = lru_cache(maxsize=4096)(Filed.read)


def carrying(groups: Iterable[Iterable[str]], name: DomainName) -> frozenset[str]:
    """Lists that carry a name, of what was filed under it in groups from the most specific to the widest."""
    found: dict[str, Filed] = {}
    for group in groups:
        for filed in sorted(map(_read, group), key=_telling):
            if filed.unless and not filed.unless.isdisjoint(name.suffixes()):
                continue
            known = found.get(filed.list)
            if known is None or filed.hold.rank > known.hold.rank:
                found[filed.list] = filed
    return frozenset(list_id for list_id, filed in found.items() if filed.hold.carries)


def _telling(filed: Filed) -> tuple[int, bool]:
    """Of entries for the same name the highest rank, and of those one that lists it."""
    return -filed.hold.rank, not filed.hold.carries
