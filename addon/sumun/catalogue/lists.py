"""Lists of domains in common formats to entries and refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sumun.catalogue import adblock, dnsmasq, domains, dstdomain, hosts, unbound, urls, v2fly
from sumun.catalogue.line import NotAnEntry, Wanted, vetted
from sumun.model.name import InvalidName
from sumun.model.service import Pattern

MAX_LINE: Final = 4096
"""Characters; a longer line is refused unread."""
_SHOWN: Final = 120
"""Characters of a refused line that are kept to show it."""

FORMATS: Final[Mapping[str, Callable[[str], Iterator[Wanted]]]] = MappingProxyType(
    {
        "adblock": adblock.read,
        "dnsmasq": dnsmasq.read,
        "domains": domains.read,
        "dstdomain": dstdomain.read,
        "hosts": hosts.read,
        "unbound": unbound.read,
        "urls": urls.read,
        "v2fly": v2fly.read,
    }
)
"""Reader of one line, by the format's name in the configuration."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name that the list carries."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not taken, or not whole: no line vanishes."""

    line: int
    """Counted from 1."""
    text: str
    """Its beginning, with control characters made visible."""
    why: str


def parse_list(text: str, format: str) -> Iterator[Entry | Refused]:  # noqa: A002 - the configuration's word
    """Read a list in one of FORMATS, lazily; whatever the text, every line ends as entries, a refusal or a comment."""
    read = FORMATS[format]
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        yield from _line(number, line.removesuffix("\r"), read)


def _line(number: int, line: str, read: Callable[[str], Iterator[Wanted]]) -> Iterator[Entry | Refused]:
    if len(line) > MAX_LINE:
        yield Refused(number, _shown(line), f"longer than {MAX_LINE} characters")
        return
    try:
        for wanted in read(line):
            yield _item(number, line, wanted)
    except NotAnEntry as fault:
        yield Refused(number, _shown(line), str(fault))


def _item(number: int, line: str, wanted: Wanted) -> Entry | Refused:
    try:
        return Entry(vetted(wanted))
    except (NotAnEntry, InvalidName) as fault:
        return Refused(number, _shown(line), str(fault))


def _shown(line: str) -> str:
    start = line[:_SHOWN].strip()
    return start if start.isprintable() else repr(start)[1:-1]
