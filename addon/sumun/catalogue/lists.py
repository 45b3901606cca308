"""Lists of domains in common formats to entries and refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sumun.catalogue import adblock, dnsmasq, domains, dstdomain, hosts, rpz, unbound, urls, v2fly
from sumun.catalogue.detect import detected
from sumun.catalogue.guard import NOBODY, Guard
from sumun.catalogue.line import NotAnEntry, Wanted, vetted
from sumun.model.listed import Entry
from sumun.model.name import DomainName, InvalidName

MAX_LINE: Final = 4096
"""Characters; a longer line is refused unread."""
_SHOWN: Final = 120
"""Characters of a refused line that are kept to show it."""

_REMEDY: Final = "to block it all the same, name it under `domains` in a rule"

FORMATS: Final[Mapping[str, Callable[[str], Iterator[Wanted]]]] = MappingProxyType(
    {
        "adblock": adblock.read,
        "dnsmasq": dnsmasq.read,
        "domains": domains.read,
        "dstdomain": dstdomain.read,
        "hosts": hosts.read,
        "rpz": rpz.read,
        "unbound": unbound.read,
        "urls": urls.read,
        "v2fly": v2fly.read,
    }
)
"""Reader of one line, by the format's name in the configuration."""
AUTO: Final = "auto"
"""Format that stands for the one that fits best."""
_PREFERRED: Final = ("domains", "hosts", "rpz", "adblock", "dnsmasq", "unbound", "v2fly", "dstdomain", "urls")
"""Of formats that fit equally well, the first."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not taken, or not whole: no line vanishes."""

    line: int
    """Counted from 1."""
    text: str
    """Its beginning, with control characters made visible."""
    why: str


def parse_list(
    text: str,
    format: str,  # noqa: A002 - the configuration's word
    guard: Guard = NOBODY,
) -> Iterator[Entry | Refused]:
    """Read a list in one of FORMATS or AUTO, lazily; every line ends as entries, a refusal or a comment.

    A name that would take down one that ``guard`` knows is refused.
    """
    text = text.removeprefix("\ufeff")
    read = FORMATS[format_of(text) if format == AUTO else format]
    for number, line in enumerate(_lines(text), start=1):
        yield from _line(number, line.removesuffix("\r"), read, guard)


def format_of(text: str) -> str:
    """The one of FORMATS that takes the most lines of a list's beginning."""
    lines = (line.removesuffix("\r") for line in _lines(text.removeprefix("\ufeff")) if len(line) <= MAX_LINE)
    return detected(lines, {name: FORMATS[name] for name in _PREFERRED})


def _lines(text: str) -> Iterator[str]:
    """What ``split`` gives, without holding a million lines at once."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def _line(number: int, line: str, read: Callable[[str], Iterator[Wanted]], guard: Guard) -> Iterator[Entry | Refused]:
    if len(line) > MAX_LINE:
        yield Refused(number, _shown(line), f"longer than {MAX_LINE} characters")
        return
    try:
        for wanted in read(line):
            yield _item(number, line, wanted, guard)
    except NotAnEntry as fault:
        yield Refused(number, _shown(line), str(fault))


def _item(number: int, line: str, wanted: Wanted, guard: Guard) -> Entry | Refused:
    try:
        pattern = vetted(wanted)
        unless = tuple(DomainName.parse(name).text for name in wanted.unless)
    except (NotAnEntry, InvalidName) as fault:
        return Refused(number, _shown(line), str(fault))
    if not wanted.hold.carries:
        return Entry(pattern, wanted.hold, unless)
    if name := guard.taken_down_by(pattern):
        return Refused(number, _shown(line), f"`{pattern}` would take down `{name}`, which others need: {_REMEDY}")
    return Entry(pattern, wanted.hold, unless)


def _shown(line: str) -> str:
    start = line[:_SHOWN].strip()
    return start if start.isprintable() else repr(start)[1:-1]
