"""The part of the Adblock syntax that DNS filters use.

``||example.com^`` covers the name and everything below it, a bare name stands for itself alone. Whatever narrows a
rule or makes an exception is refused: taking half of such a line would block more than its author asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sumun.catalogue.line import NotAnEntry, Wanted, covering, only

_HARMLESS: Final = frozenset({"all", "document", "important"})
"""Modifiers that leave a DNS rule as wide as it is."""


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = line.strip()
    if not text or text.startswith(("!", "# ", "[")) or text == "#":
        return
    if text.startswith("@@"):
        raise NotAnEntry("an exception, which this list cannot carry")
    rule, _, modifiers = text.partition("$")
    if narrowing := [m for m in modifiers.split(",") if m and m not in _HARMLESS]:
        raise NotAnEntry(f"modifier `{narrowing[0]}` narrows the rule: without it more would be blocked")
    yield _wanted(rule)


def _wanted(rule: str) -> Wanted:
    if not rule.startswith("|"):
        return only(rule)
    if rule.startswith("||") and rule.endswith("^"):
        return covering(rule[2:-1])
    raise NotAnEntry("no rule for a whole domain: only `||name^` and bare names are")
