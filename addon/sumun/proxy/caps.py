"""How many connections one client may have: what is beyond is closed, so that others are served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

CALLERS = 8192
"""Connections, of all clients of a process, that are at the gate or inspected at one time; spliced ones are bounded by
the number of open files, and by what one client may have."""

type Told = Callable[[str], None]
"""Counts what was closed, by the name of the limit."""


@dataclass(slots=True)
class Caps:
    """Counts by the address from which connections come: a text, as sockets name it."""

    connections: int
    handshakes: int
    exempt: Callable[[str], bool]
    """Whether an address is a parent, which stands for many clients."""
    told: Told
    _all: dict[str, int] = field(default_factory=dict)  # a Counter runs through slower methods of its own
    _opening: dict[str, int] = field(default_factory=dict)

    def admit(self, client: str, callers: int) -> bool:
        """Whether another connection is taken; ``callers`` are those of all clients that are not spliced."""
        if callers >= CALLERS:
            self.told("total")
            return False
        here, opening = self._all.get(client, 0), self._opening.get(client, 0)
        if here >= self.connections and not self.exempt(client):
            self.told("connections")
            return False
        if opening >= self.handshakes and not self.exempt(client):
            self.told("handshakes")
            return False
        self._all[client] = here + 1
        self._opening[client] = opening + 1
        return True

    def opened(self, client: str) -> None:
        """A connection has come to the point, or to its end."""
        _less(self._opening, client)

    def gone(self, client: str) -> None:
        """A connection has ended."""
        _less(self._all, client)


def _less(counts: dict[str, int], client: str) -> None:
    left = counts.get(client, 0) - 1
    if left > 0:
        counts[client] = left
    else:
        counts.pop(client, None)
