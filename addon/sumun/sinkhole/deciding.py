"""The policy, asked once for all names that it cannot tell apart.

Most names are one of a service's many, or of nobody's: what is said of one holds for the others. It is remembered
where the name matters only through what catalogue and lists say of it, for as long as no schedule changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sumun.model.decision import Outcome
from sumun.model.name import IPAddress
from sumun.model.request import AccessRequest
from sumun.model.segment import Segment
from sumun.policy.engine import Policy

_MAX_OUTCOMES: Final = 8_192
_MAX_CLIENTS: Final = 65_536


@dataclass(slots=True)
class Deciding:
    """One policy, for requests of which client and name are known; bounded."""

    policy: Policy
    _segments: dict[IPAddress, tuple[Segment | None, bool]] = field(default_factory=dict)
    """Of each client: its segment, and whether its names are told apart by catalogue and lists alone."""
    _outcomes: dict[tuple[object, ...], tuple[datetime, Outcome]] = field(default_factory=dict)
    """And since when each holds; it ends with its own ``valid_until``."""

    def segment_of(self, client: IPAddress) -> Segment | None:
        """As the policy says."""
        return self._place(client)[0]

    def decide(self, request: AccessRequest, *, at: datetime) -> Outcome:
        """As the policy says."""
        segment, alike = self._place(request.client)
        if segment is None or not alike:
            return self.policy.decide(request, at=at)
        facts = self.policy.facts(request)
        # the services of a policy live as long as it does, so their identity will do
        key = segment.name, id(facts.service), tuple(map(id, facts.possible)), facts.lists
        since, outcome = self._outcomes.get(key, (None, None))
        if since is None or outcome is None or at < since or (outcome.valid_until and at >= outcome.valid_until):
            if len(self._outcomes) >= _MAX_OUTCOMES:
                self._outcomes.clear()
            outcome = self.policy.decide(request, at=at)
            self._outcomes[key] = at, outcome
        return outcome

    def _place(self, client: IPAddress) -> tuple[Segment | None, bool]:
        place = self._segments.get(client)
        if place is None:
            if len(self._segments) >= _MAX_CLIENTS:
                self._segments.clear()
            segment = self.policy.segment_of(client)
            place = self._segments[client] = segment, segment is not None and self._alike(segment, client)
        return place

    def _alike(self, segment: Segment, client: IPAddress) -> bool:
        conditions = (compiled.rule.when for compiled in self.policy.rules[segment.name])
        by_facts = all(when.domains is None and when.clients is None for when in conditions)
        return by_facts and not self.policy.grants.concern(client)
