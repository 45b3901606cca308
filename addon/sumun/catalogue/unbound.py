"""Local zones of Unbound that refuse or empty a name and everything below it.

``local-zone: "example.com" always_nxdomain``
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sumun.catalogue.line import NotAnEntry, Wanted, covering, uncommented

_BLOCKING: Final = frozenset(
    {"always_deny", "always_nodata", "always_null", "always_nxdomain", "always_refuse", "deny", "refuse", "static"}
)
"""Zone types of unbound.conf(5) that answer nothing from outside."""


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = uncommented(line)
    if not text or text == "server:":
        return
    option, _, value = text.partition(":")
    words = value.replace('"', " ").split()
    if option.strip() != "local-zone" or len(words) != 2:
        raise NotAnEntry("no `local-zone` with a name and a type")
    if words[1] not in _BLOCKING:
        raise NotAnEntry(f"zone type `{words[1]}` does not block the whole zone")
    yield covering(words[0])
