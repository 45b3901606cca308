"""What the console is told about the running policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sumun.model.rule import Exemption, Rule
from sumun.model.segment import Segment


@dataclass(frozen=True, slots=True)
class ListView:
    """One list of domains, as it was last loaded."""

    entries: int
    refused_lines: int
    last_success: datetime | None = None
    """When it was last read, or a subscription last seen to be what is published; None: never."""
    trouble: str = ""
    """Why the last update failed; empty: it did not, or there was none."""
    subscribed: bool = False


@dataclass(frozen=True, slots=True)
class LoadedView:
    """The policy that is served now, and how the last reload went."""

    revision: str
    segments: Sequence[Segment]
    rules: Sequence[Rule] = ()
    """Global rules."""
    lists: Mapping[str, ListView] = field(default_factory=dict)
    last_reload_ok: bool = True
    last_success: datetime | None = None
    """When the policy above was loaded."""
    exemptions: Sequence[Exemption] = ()
    """Those of the configuration."""
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """For times that people read and write."""
