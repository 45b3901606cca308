"""Plain domains, one a line, ``#`` before a comment; each covers the name and everything below it.

``*.example.org`` and ``.example.org`` mean the same as ``example.org``; in ``*-api.example.net`` one label varies.
"""

from __future__ import annotations

from collections.abc import Iterator

from sumun.catalogue.line import NotAnEntry, Wanted, covering, uncommented


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = uncommented(line)
    if len(text.split()) > 1:
        raise NotAnEntry("more than one word: another format?")
    if text:
        yield covering(text)
