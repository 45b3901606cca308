"""What the readers of all list formats share.

A format knows syntax alone: it yields what a line asks for. Whether that may be asked for is decided here, for all
formats alike and name by name, so that one bad name does not take its neighbours with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from sumun.catalogue.public_suffix import is_public_suffix
from sumun.model.listed import Hold
from sumun.model.name import DomainName, IPAddress, parse_host
from sumun.model.service import Match, Pattern


class NotAnEntry(ValueError):
    """A line that is not taken; its message is shown to the administrator."""


def uncommented(line: str) -> str:
    """The line without what follows a ``#``, and without spaces around it."""
    return line.partition("#")[0].strip()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a line asks for, as it is written there."""

    text: str
    match: Match
    hold: Hold = Hold.LISTED
    unless: tuple[str, ...] = ()
    """Names that are kept out of it, as they are written."""


def covering(text: str, hold: Hold = Hold.LISTED, unless: Iterable[str] = ()) -> Wanted:
    """A domain and everything below it; a leading ``*.`` or dot says the same and is taken off."""
    return Wanted(text, Match.SUFFIX, hold, tuple(unless))


def only(text: str, hold: Hold = Hold.LISTED, unless: Iterable[str] = ()) -> Wanted:
    """One host name."""
    return Wanted(text, Match.EXACT, hold, tuple(unless))


@lru_cache(maxsize=256)
def literal_address(text: str) -> IPAddress | None:
    """The address that a text spells; None where it is something else. Lists repeat a few of them on every line."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


_CANONICAL: Final = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)+[a-z][a-z0-9-]{0,62}", re.ASCII)
"""A name that is its own canonical spelling and cannot be an address, as nearly all lines are: ten times faster."""


def vetted(wanted: Wanted) -> Pattern:
    """Refuse what is an address, no host name, or would cover names of strangers; NotAnEntry or InvalidName."""
    text = wanted.text
    pattern = Pattern(text, wanted.match) if _CANONICAL.fullmatch(text) else _parsed(text, wanted.match)
    if "." not in pattern.text:
        raise NotAnEntry(f"`{text}` has no dot: a whole top-level domain, or a host of the local network")
    if is_public_suffix(pattern.text):
        raise NotAnEntry(f"`{text}` covers domains of many owners")
    return pattern


def _parsed(text: str, match: Match) -> Pattern:
    if match is Match.EXACT and "*" in text:
        raise NotAnEntry(f"`{text}` is a pattern where one host name is expected")
    bare = text.removeprefix("*." if text.startswith("*") else ".") if match is Match.SUFFIX else text
    pattern = Pattern.parse(bare, match)
    if pattern.match is not Match.GLOB and not isinstance(parse_host(pattern.text), DomainName):
        raise NotAnEntry(f"`{text}` is an address: names alone can be looked up, and addresses are shared")
    if "\\" in pattern.text:
        raise NotAnEntry(f"`{text}` has characters that no host name has")
    return pattern
