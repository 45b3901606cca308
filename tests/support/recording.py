"""An Events port that remembers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sumun.model.event import AccessDecided


class RecordingEvents:
    """Keeps what it is told, and numbers it."""

    def __init__(self) -> None:
        self.seen: list[AccessDecided] = []
        self.counted = 0
        """Attempts counted in bulk; each is owed to the log."""

    def record(self, event: AccessDecided) -> str:
        self.seen.append(event)
        return f"incident-{len(self.seen)}"

    def counting(self, event: AccessDecided) -> Callable[[int], None]:
        return self._count

    def log(self, event: AccessDecided, times: int, last: datetime) -> str:
        """As many events as attempts, all alike."""
        self.seen += [event] * times
        return f"incident-{len(self.seen)}"

    def _count(self, times: int) -> None:
        self.counted += times

    def take(self) -> list[AccessDecided]:
        """All events since the last call."""
        taken, self.seen = self.seen, []
        return taken
