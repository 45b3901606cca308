"""Names that no list and no service may take down as a side effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern


class Guard:
    """Knows which pattern would block which of the names it was given; immutable."""

    def __init__(self, names: Iterable[DomainName] = ()) -> None:
        self._names: Final = tuple(name.text for name in names)
        self._exact: Final = frozenset(self._names)
        self._above: Final = {suffix: text for text in reversed(self._names) for suffix in DomainName(text).suffixes()}

    def taken_down_by(self, pattern: Pattern) -> str | None:
        """The first name that the pattern covers; None: it spares them all."""
        text = pattern.text
        if pattern.match is Match.GLOB:
            return next(filter(pattern.expression.fullmatch, self._names), None)
        if text in self._exact:
            return text
        return self._above.get(text) if pattern.match is Match.SUFFIX else None


NOBODY: Final = Guard()
"""Guards nothing."""
