"""An Events port that remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

    def log(self, attempts: Iterable[tuple[AccessDecided, int, datetime]]) -> None:
        """As many events as attempts, all alike."""
        for event, times, _ in attempts:
            self.seen += [event] * times

    def _count(self, times: int) -> None:
        self.counted += times

    def take(self) -> list[AccessDecided]:
        """All events since the last call."""
        taken, self.seen = self.seen, []
        return taken
