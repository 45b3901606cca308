"""Who deploys Sumun, as its pages name them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sumun.model.colour import Accent
from sumun.model.logo import Logo
from sumun.model.segment import Segment
from sumun.model.text import Text


@dataclass(frozen=True, slots=True)
class Organisation:
    """Shown on every page."""

    name: Text = field(default_factory=Text)
    contact: str = ""
    """E-mail address or https URL where a user asks for a review; empty: the page says "your administrator"."""
    accent: Accent | None = None
    """None: the pages' own colour."""
    logo: Logo | None = None

    def within(self, segment: Segment | None) -> Organisation:
        """As the users of this segment know it."""
        if segment is None or not (segment.contact or segment.accent or segment.logo):
            return self
        return replace(
            self, contact=segment.contact or self.contact, accent=segment.accent or self.accent,
            logo=segment.logo or self.logo,
        )  # fmt: skip
