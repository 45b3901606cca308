"""Addresses of whole sites, one a line: ``https://example.com/`` stands for that host alone.

An address of one page is refused: taking its host would block every other page there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sumun.catalogue.line import NotAnEntry, Wanted, only

_SITE: Final = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#@:\[\]]+)(?::\d{1,5})?(/[^\s]*|[?#][^\s]*)?", re.IGNORECASE)


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = line.strip()
    if not text or text.startswith("#"):
        return
    parts = _SITE.fullmatch(text)
    if parts is None:
        raise NotAnEntry("no address that begins with http:// or https:// and a host name")
    if parts[2] not in (None, "/"):
        raise NotAnEntry("address of one page: taking its host would block the rest of the site")
    yield only(parts[1])
