"""Ways round the filter that names stand for, as metrics and events say them."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import Final

LIST_TECHNIQUES: Final = MappingProxyType({"dns-bypass": "encrypted_dns", "tunnels": "vpn"})
"""By the id of a list that comes with Sumun: what its names are for."""


def technique_of(lists: Collection[str]) -> str | None:
    """The technique that a name on these lists stands for; None: none that is known."""
    return next((technique for list_, technique in LIST_TECHNIQUES.items() if list_ in lists), None)
