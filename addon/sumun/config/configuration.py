"""The checked configuration: every value has its type, every reference points at something that exists."""

from __future__ import annotations

from dataclasses import dataclass, field

from sumun.config.fault import Fault
from sumun.config.settings import Settings
from sumun.model.organisation import Organisation
from sumun.model.rule import Exemption, Rule
from sumun.model.segment import Segment


@dataclass(frozen=True, slots=True)
class Config:
    """All that one configuration file says."""

    settings: Settings
    segments: tuple[Segment, ...]
    rules: tuple[Rule, ...] = ()
    """Global rules, asked before every segment's own."""
    exemptions: tuple[Exemption, ...] = ()
    unknown_clients: str | None = None
    """Segment that clients of no segment are served as; None: they are refused."""
    organisation: Organisation = field(default_factory=Organisation)
    warnings: tuple[Fault, ...] = ()
    """What can be loaded but will hardly do what was meant."""
