"""Entries of which the most specific counts, to Adblock's, of which an exception counts however wide it is.

What is listed within an exception becomes ``$important``, and so does an exception within it: no deeper.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from sumun.export.fit import Loss
from sumun.model.listed import Entry, Hold
from sumun.model.service import Match

_BY_DEPTH = (Hold.LISTED, Hold.EXCEPTED, Hold.IMPORTANT, Hold.ALWAYS_EXCEPTED)


def ranked(entries: Iterable[Entry]) -> Iterator[Entry | Loss]:
    """Each entry with the rank that its place among the others asks for, or as a loss where there is none."""
    known = tuple(entries)
    suffixes = {e.pattern.text: e for e in known if e.pattern.match is Match.SUFFIX}
    for entry in known:
        depth = _depth(entry, suffixes)
        if depth >= len(_BY_DEPTH):
            if entry.hold.carries:
                yield Loss(entry, "left out: an exception within an exception within an exception cannot be said")
        else:
            yield replace(entry, hold=_BY_DEPTH[depth])


def _depth(entry: Entry, suffixes: dict[str, Entry]) -> int:
    """How often what is listed and what is spared take turns above an entry."""
    depth, text, holds = 0, entry.pattern.text, entry.hold.carries
    above = suffixes.get(text) if entry.pattern.match is Match.EXACT else None
    while True:
        if above is not None and above.hold.carries != holds:
            depth, holds = depth + 1, above.hold.carries
        if not (text := text.partition(".")[2]):
            return depth if holds else depth + 1
        above = suffixes.get(text)
