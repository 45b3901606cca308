"""Which format is this list in?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

from sumun.catalogue.line import NotAnEntry, Wanted, vetted
from sumun.model.name import InvalidName

_LINES: Final = 500
"""Looked at; a list that changes its mind later shows it by its refusals."""


def detected(lines: Iterable[str], formats: Mapping[str, Callable[[str], Iterator[Wanted]]]) -> str:
    """The format that takes the most of the first lines; of equals the first in the order given."""
    sample = list(islice(lines, _LINES))
    return max(formats, key=lambda name: _taken(sample, formats[name]))


def _taken(lines: Iterable[str], read: Callable[[str], Iterator[Wanted]]) -> int:
    """Lines that give entries, less those that are refused; comments count for nobody."""
    return sum(_says(line, read) for line in lines)


def _says(line: str, read: Callable[[str], Iterator[Wanted]]) -> int:
    try:
        return int(bool([vetted(wanted) for wanted in read(line)]))
    except (NotAnEntry, InvalidName):
        return -1
