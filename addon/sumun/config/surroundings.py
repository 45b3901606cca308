"""What lives outside the configuration and is checked with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lives outside the file and its rules may speak of."""

    services: Collection[str]
    categories: Collection[str]
    formats: Collection[str] | None = None
    """Formats of lists that can be read; None: not checked."""
    list_digests: Mapping[str, str] | None = None
    """SHA-256 of each list that is at hand, by its id; None: not checked."""
    lists: Collection[str] = ()
    """Lists that rules may name without declaring them."""
    reserved_lists: Collection[str] = ()
    """Ids that no declared list may take."""
    logos: Mapping[str, bytes] | None = None
    """What is in each file of a logo that could be read, by its path; None: not checked."""
    at: datetime | None = None
    """Now, to warn of what has ended; None: no such warning."""
