"""When to ask a second resolver because the first takes longer than it usually does. Pure: times are arguments.

The tail of what a resolver takes is many times its median, and mostly the fault of one packet or one server: a second
question, asked only after the usual time, ends most of it at little cost (Dean and Barroso, "The Tail at Scale", 2013).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

_REMEMBERED: Final = 100
_ENOUGH: Final = 20
"""Answers before which nothing is usual."""
_USUAL: Final = 0.95
_SHORTEST: Final = 0.002
"""Seconds: what is faster is not worth a second question."""
_SHARE: Final = 0.1
"""Second questions for each first one, at most."""
_SAVED: Final = 10.0
"""Second questions that may be saved up for a burst of slowness."""


@dataclass(slots=True)
class Pace:
    """What one resolver takes to answer."""

    _taken: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _since: int = 0
    usual: float | None = None
    """Seconds within which all but one in twenty of its answers came lately; None: too few are known."""

    def note(self, seconds: float) -> None:
        """Take an answer into account."""
        self._taken.append(seconds)
        self._since += 1
        if self._since >= _ENOUGH:
            self._since = 0
            self.usual = max(_SHORTEST, sorted(self._taken)[int(len(self._taken) * _USUAL)])


@dataclass(slots=True)
class Budget:
    """Keeps second questions a small part of all, so that a slow network is not made slower."""

    _left: float = 0.0

    def asked(self) -> None:
        """A first question was asked."""
        self._left = min(self._left + _SHARE, _SAVED)

    def take(self) -> bool:
        """Whether there may be one second question more."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
