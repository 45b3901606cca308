"""The formats that can be written: what each can say, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sumun.export import zone
from sumun.export.fit import Sayable
from sumun.model.listed import Entry, Hold
from sumun.model.service import Match

EXACT, SUFFIX, GLOB = Match.EXACT, Match.SUFFIX, Match.GLOB
type Lines = Callable[[Iterable[Entry]], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Format:
    """One format."""

    name: str
    """As lists name it."""
    of: str
    """The software that reads it, for a person."""
    sayable: Sayable
    lines: Lines
    comment: str = "#"
    ranks: bool = False
    """Whether an exception wins over everything that is not marked, instead of over what is less specific."""
    zone: bool = False
    """Whether the lines need the head of a zone."""
    opening: tuple[str, ...] = ()
    """Lines before the first entry."""
    minimal: bool = False
    """Whether the software takes a name below one that is there already for a mistake."""


def _each(line: Callable[[Entry], str]) -> Lines:
    return lambda entries: map(line, entries)


def _domains(entry: Entry) -> str:
    return entry.pattern.text


def _hosts(entry: Entry) -> str:
    return f"0.0.0.0 {entry.pattern.text}"


def _urls(entry: Entry) -> str:
    return f"https://{entry.pattern.text}/"


def _dstdomain(entry: Entry) -> str:
    return f".{entry.pattern.text}" if entry.pattern.match is SUFFIX else entry.pattern.text


def _v2fly(entry: Entry) -> str:
    return f"{'domain' if entry.pattern.match is SUFFIX else 'full'}:{entry.pattern.text}"


def _adblock(entry: Entry) -> str:
    exception = "@@" if not entry.hold.carries else ""
    start = "||" if entry.pattern.match is SUFFIX else "|"
    important = ["important"] if entry.hold in (Hold.IMPORTANT, Hold.ALWAYS_EXCEPTED) else []
    left_out = [f"denyallow={'|'.join(entry.unless)}"] if entry.unless else []
    modifiers = ",".join(important + left_out)
    return f"{exception}{start}{entry.pattern.text}^{'$' if modifiers else ''}{modifiers}"


def _dnsmasq(entry: Entry) -> str:
    return f"local=/{entry.pattern.text}/" if entry.hold.carries else f"server=/{entry.pattern.text}/#"


def _unbound(entry: Entry) -> str:
    kind = "always_nxdomain" if entry.hold.carries else "always_transparent"
    return f'local-zone: "{entry.pattern.text}." {kind}'


def _sayable(*kinds: tuple[Match, bool]) -> Sayable:
    return frozenset(kinds)


_NAMES = _sayable((EXACT, True))
_DOMAINS = _sayable((SUFFIX, True), (SUFFIX, False))
_ALL_BUT_GLOBS = _sayable((EXACT, True), (SUFFIX, True), (EXACT, False), (SUFFIX, False))

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        form.name: form
        for form in (
            Format("adblock", "AdGuard Home and others", _ALL_BUT_GLOBS, _each(_adblock), comment="!", ranks=True),
            Format("dnsmasq", "dnsmasq", _DOMAINS, _each(_dnsmasq)),
            Format("domains", "Sumun and others", _sayable((SUFFIX, True), (GLOB, True)), _each(_domains)),
            Format("dstdomain", "Squid", _sayable((EXACT, True), (SUFFIX, True)), _each(_dstdomain), minimal=True),
            Format("hosts", "an operating system", _NAMES, _each(_hosts)),
            Format("rpz", "BIND, Unbound, Knot Resolver, PowerDNS", _ALL_BUT_GLOBS, zone.records, ";", zone=True),
            Format("unbound", "Unbound", _DOMAINS, _each(_unbound), opening=("server:",)),
            Format("urls", "programs that take addresses", _NAMES, _each(_urls)),
            Format("v2fly", "v2ray and others", _sayable((EXACT, True), (SUFFIX, True)), _each(_v2fly)),
        )
    }
)
"""By name."""
ALIASES: Final[Mapping[str, str]] = MappingProxyType({"bind": "rpz", "squid": "dstdomain"})
"""Formats by the software that reads them."""
