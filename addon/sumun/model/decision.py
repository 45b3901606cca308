"""What the policy decision point said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sumun.model.request import Facet
from sumun.model.rule import Action, Rule
from sumun.model.service import Service


class Reason(StrEnum):
    """Why. A closed set: an event field, a key of the pages and a heading in the reference."""

    RULE = "rule"
    EXEMPTION = "exemption"
    SEGMENT_DEFAULT = "segment_default"
    UNKNOWN_CLIENT = "unknown_client"
    ACKNOWLEDGED = "acknowledged"
    """A rule asks to think first, and the person has confirmed that for this service."""
    JUSTIFIED = "justified"
    """A rule asks why, and the person has said so, and was approved where the rule names an approver."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Final: nothing that could still be learnt about the request would change the action."""

    action: Action
    reason: Reason
    segment: str
    service: Service | None = None
    rule: Rule | None = None
    """The rule that settled it; for an acknowledgement or a justification, the one that it passes."""
    exemption: str | None = None
    grant: str | None = None
    """Id of the exemption, acknowledgement or justification, where it was granted while the filter runs."""
    shadows: tuple[Rule, ...] = ()
    """Rules in shadow mode that match, in order: counted, not enforced."""
    policy_revision: str = ""
    valid_until: datetime | None = None
    """First instant at which a schedule could make it another; None: only a new policy could."""
    bypass: str | None = None
    """Technique of getting round the filter that the name stands for (``model.bypass``), unless a rule lets it."""

    @property
    def concerns_ai(self) -> bool:
        """Whether a rule or a catalogue entry concerns the request; nothing else is ever logged."""
        by_policy = self.reason is not Reason.SEGMENT_DEFAULT or self.action is not Action.ALLOW
        return by_policy or self.service is not None or bool(self.shadows)


@dataclass(frozen=True, slots=True)
class Undetermined:
    """A rule could match once more is known; the request must reach a point that knows it."""

    needs: frozenset[Facet]
    segment: str
    candidates: tuple[Rule, ...]
    """Rules that could still match, in order, and last the one that would settle it if none did."""
    service: Service | None = None
    shadows: tuple[Rule, ...] = ()
    policy_revision: str = ""
    valid_until: datetime | None = None
    bypass: str | None = None


type Outcome = Decision | Undetermined
