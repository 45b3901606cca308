"""Squid's ``dstdomain``: ``.example.com`` covers everything below too, ``example.com`` stands for itself alone."""

from __future__ import annotations

from collections.abc import Iterator

from sumun.catalogue.line import NotAnEntry, Wanted, covering, only, uncommented


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = uncommented(line)
    if len(text.split()) > 1:
        raise NotAnEntry("more than one word: another format?")
    if text:
        yield covering(text) if text.startswith(".") else only(text)
