"""An Events port that remembers."""

from __future__ import annotations

from sumun.model.event import AccessDecided


class RecordingEvents:
    """Keeps what it is told, and numbers it."""

    def __init__(self) -> None:
        self.seen: list[AccessDecided] = []

    def record(self, event: AccessDecided) -> str:
        self.seen.append(event)
        return f"incident-{len(self.seen)}"

    def take(self) -> list[AccessDecided]:
        """All events since the last call."""
        taken, self.seen = self.seen, []
        return taken
