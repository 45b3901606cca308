"""Does one address ask for a whole segment? Then a forwarder hides its clients, and rules for some meet all.

Pure: the time is an argument, in seconds. It costs next to nothing for each query, since only one of each batch is
looked at: the shares are those of a sample.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sumun.model.segment import UNKNOWN_SEGMENT

WINDOW = 3600.0
"""Seconds for which queries are added up."""
ENOUGH = 1_000
"""Queries below which a share says nothing."""
SHARE = 0.95
_SECOND_LOOK = 60.0
"""Seconds after which a segment that has asked enough is judged for the first time in a window."""


@dataclass(slots=True)
class _Window:
    since: float
    total: int = 0
    client: bytes = b""
    of_client: int = 0
    votes: int = 0
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """How much of what a segment asked came from one address."""

    segment: str
    client: bytes
    share: float
    """Of 1; nought where there were too few queries to say."""
    total: int
    first: bool
    """Whether this window is judged for the first time."""

    @property
    def hides(self) -> bool:
        """Whether that is a forwarder which hides its clients."""
        return self.share >= SHARE


@dataclass(slots=True)
class Concentration:
    """The address that most queries come from, for each segment (Boyer and Moore's majority vote)."""

    _windows: dict[str, _Window] = field(default_factory=dict)

    def note(self, segment: str, client: bytes, times: int, now: float) -> Verdict | None:
        """Add queries of one client; a verdict when there is one to tell."""
        window = self._windows.get(segment)
        if window is None:
            if segment == UNKNOWN_SEGMENT:
                return None  # nothing of theirs is answered
            window = self._windows[segment] = _Window(now)
        passed = now - window.since
        verdict = None
        if not 0 <= passed < WINDOW or (not window.judged and window.total >= ENOUGH and passed >= _SECOND_LOOK):
            verdict = self._judge(segment, window)
        if not 0 <= passed < WINDOW:
            window = self._windows[segment] = _Window(now)
        _vote(window, client, times)
        return verdict

    def _judge(self, segment: str, window: _Window) -> Verdict:
        share = window.of_client / window.total if window.total >= ENOUGH else 0.0
        first, window.judged = not window.judged, True
        return Verdict(segment, window.client, share, window.total, first)


def _vote(window: _Window, client: bytes, times: int) -> None:
    window.total += times
    if client == window.client:
        window.votes += times
        window.of_client += times
    elif window.votes >= times:
        window.votes -= times
    else:
        window.client, window.votes, window.of_client = client, times - window.votes, times
