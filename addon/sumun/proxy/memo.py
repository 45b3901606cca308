"""What the gate has just ruled: a browser opens many connections to one host, and the answer to each is the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sumun.model.name import DomainName, IPAddress
from sumun.model.request import Unknown
from sumun.model.user import Identity
from sumun.policy.engine import Policy
from sumun.proxy.destination import Destination
from sumun.proxy.ruling import GateRuling

LIFE = timedelta(seconds=1)
"""A ruling is remembered for so long at most: whatever a rule may come to depend on, it takes effect within this."""
ENTRIES = 4096

type Key = tuple[IPAddress, Destination | None, DomainName | IPAddress | None, Identity | Unknown | None]
"""Client, destination, server name, and the user, where one is known or could be."""


class Memo:
    """Rulings of one policy; another policy, the next boundary of a schedule, or a second later they are forgotten."""

    def __init__(self) -> None:
        self._policy: Policy | None = None
        self._known: dict[Key, tuple[datetime, datetime, GateRuling]] = {}
        """From when (inclusive) until when, and what."""

    def recall(self, policy: Policy, key: Key, at: datetime) -> GateRuling | None:
        """The ruling, if it still holds."""
        if policy is self._policy and (known := self._known.get(key)) and known[0] <= at < known[1]:
            return known[2]
        return None

    def learn(self, policy: Policy, key: Key, at: datetime, decide: Callable[[], GateRuling]) -> GateRuling:
        """Decide, and remember it; what ``decide`` raises is not remembered."""
        ruling = decide()
        if policy is not self._policy or len(self._known) >= ENTRIES:
            self._policy = policy
            self._known.clear()
        boundary = ruling.ruling.outcome.valid_until
        until = min(at + LIFE, boundary) if boundary else at + LIFE
        self._known[key] = at, until, ruling
        return ruling
