"""The lists that come with Sumun, and the names that no list may take down."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sumun.catalogue.line import uncommented
from sumun.model.name import DomainName

BUILT_IN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "deepseek-lookalikes": "imitations of DeepSeek",
        "dns-bypass": "resolvers that take look-ups past the sinkhole",
        "tunnels": "commercial VPN services",
    }
)
"""What each is, by the id that rules use without declaring it; the format of all is ``domains``."""

NEVER_BLOCK: Final = "never-block"
"""The list of names that many others need; rules cannot use it."""

RESERVED: Final = frozenset({*BUILT_IN, NEVER_BLOCK})
"""Ids that a configuration cannot give to a list of its own."""


def parse_names(text: str) -> tuple[DomainName, ...]:
    """One name a line, ``#`` before a comment; raises InvalidName."""
    return tuple(DomainName.parse(name) for line in text.splitlines() if (name := uncommented(line)))
