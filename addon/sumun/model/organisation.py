"""Who deploys Sumun, as its pages name them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sumun.model.colour import Accent
from sumun.model.text import Text


@dataclass(frozen=True, slots=True)
class Organisation:
    """Shown on every page."""

    name: Text = field(default_factory=Text)
    contact: str = ""
    """E-mail address or https URL where a user asks for a review; empty: the page says "your administrator"."""
    accent: Accent | None = None
    """None: the pages' own colour."""
