"""The text format of v2fly's domain lists: ``example.com`` and ``domain:example.com`` cover, ``full:`` is one host.

Attributes (``@cn``) and affiliations (``&other``) say nothing about blocking and are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator

from sumun.catalogue.line import NotAnEntry, Wanted, covering, only, uncommented


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    words = uncommented(line).split()
    if not words:
        return
    if any(word[0] not in "@&" for word in words[1:]):
        raise NotAnEntry("more than one name: another format?")
    kind, colon, name = words[0].rpartition(":")
    if colon and kind not in ("domain", "full"):
        raise NotAnEntry(f"`{kind}:` names no domain: whole domains alone are taken")
    yield only(name) if kind == "full" else covering(name)
