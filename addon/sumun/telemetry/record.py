"""One entry of the decision log: equal attempts within a second, under one id."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sumun.model.decision import Decision
from sumun.model.event import AccessDecided
from sumun.model.rule import Mode, Rule

UNDETERMINED = "undetermined"
"""Stands for the action where a point could not decide and handed the request on."""
NO_SERVICE = "none"
"""Stands for the service where the destination belongs to none of the catalogue."""


@dataclass(frozen=True, slots=True)
class Record:
    """A fact and how often it happened; a shadow rule that matched has a record of its own."""

    id: str
    event: AccessDecided
    """The first of the attempts."""
    count: int
    first_seen: datetime
    last_seen: datetime
    shadow: Rule | None = None
    """The rule in shadow mode that this record is about; None: the one that was enforced."""

    @property
    def mode(self) -> Mode:
        """Whether the action below was enforced or only noted."""
        return Mode.ENFORCE if self.shadow is None else Mode.SHADOW

    @property
    def action(self) -> str:
        """What the rule asks for; label and field read the same."""
        return action_of(self.event, self.shadow)


def action_of(event: AccessDecided, shadow: Rule | None = None) -> str:
    """The action of the shadow rule if one is given, else the one decided."""
    if shadow is not None:
        return str(shadow.action)
    return str(event.outcome.action) if isinstance(event.outcome, Decision) else UNDETERMINED


def service_of(event: AccessDecided) -> str:
    """Id of the service, as label and field."""
    return event.outcome.service.id if event.outcome.service else NO_SERVICE
