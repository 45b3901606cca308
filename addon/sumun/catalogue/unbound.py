"""Local zones of Unbound that refuse or empty a name and everything below it.

``local-zone: "example.com" always_nxdomain``, and ``local-zone: "www.example.com" always_transparent`` for
an exception: the most specific zone wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sumun.catalogue.line import NotAnEntry, Wanted, covering, uncommented
from sumun.model.listed import Hold

_BLOCKING: Final = frozenset(
    {"always_deny", "always_nodata", "always_null", "always_nxdomain", "always_refuse", "deny", "refuse", "static"}
)
"""Zone types of unbound.conf(5) that answer nothing from outside."""
_PASSING: Final = frozenset({"always_transparent", "transparent", "typetransparent"})
"""And those that resolve a name as ever, where no data are given for it."""


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = uncommented(line)
    if not text or text == "server:":
        return
    option, _, value = text.partition(":")
    words = value.replace('"', " ").split()
    if option.strip() != "local-zone" or len(words) != 2:
        raise NotAnEntry("no `local-zone` with a name and a type")
    if words[1] in _PASSING:
        yield covering(words[0], Hold.SPARED)
    elif words[1] in _BLOCKING:
        yield covering(words[0])
    else:
        raise NotAnEntry(f"zone type `{words[1]}` neither blocks the whole zone nor lets it pass")
