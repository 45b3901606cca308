"""Checks across the whole configuration: collisions, and what is never reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath

from sumun.config.document import Path, spelled
from sumun.config.fault import Unreadable, did_you_mean, quoted
from sumun.config.logo import read_logo
from sumun.config.raw import RawConfig
from sumun.config.raw_segment import RawAccent
from sumun.config.rules import Report
from sumun.config.settings import Listen, Settings, Transport, Upstream
from sumun.config.shape import NO_ID
from sumun.model.colour import DARK_GROUNDS, LIGHT_GROUNDS, READABLE, contrast
from sumun.model.logo import Logo
from sumun.model.name import IPAddress
from sumun.model.rule import IPNetwork
from sumun.model.segment import UNKNOWN_SEGMENT

REFUSE = "refuse"
"""Value of ``unknown_clients`` that names no segment."""
type Placed = tuple[Path, str, IPNetwork]
"""Where a network stands, in which segment."""


def check_segments(raw: RawConfig, declared: Iterable[str], fault: Report) -> None:
    """Names that mean something else, and references to segments; ``declared`` are all names in the file."""
    for name in raw.segments:
        if name in (UNKNOWN_SEGMENT, REFUSE):
            fault(("segments", name), f"`{name}` has a meaning of its own: choose another name")
    if raw.unknown_clients != REFUSE and raw.unknown_clients not in declared:
        hint = did_you_mean(raw.unknown_clients, [*declared, REFUSE])
        fault(("unknown_clients",), f"unknown segment {quoted(raw.unknown_clients)}{hint}")


def check_accents(raw: RawConfig, fault: Report) -> None:
    """A colour that cannot be read on the pages is refused (WCAG 2.2, 1.4.3)."""
    _check_accent(raw.organisation.accent, ("organisation",), fault)
    for name, segment in raw.segments.items():
        _check_accent(segment.accent, ("segments", name), fault)


def logos(raw: RawConfig) -> Iterator[tuple[Path, str]]:
    """Where a logo is named, and the path of its file."""
    if raw.organisation.logo:
        yield ("organisation", "logo"), normal(raw.organisation.logo)
    for name, segment in raw.segments.items():
        if segment.logo:
            yield ("segments", name, "logo"), normal(segment.logo)


def normal(path: str) -> str:
    """One spelling of a path: the key of a file."""
    return str(PurePath(path))


def vetted_logos(raw: RawConfig, files: Mapping[str, bytes] | None, fault: Report) -> dict[str, Logo]:
    """Each logo by the path of its file; a file that is not there, or is no logo, is a fault."""
    found: dict[str, Logo] = {}
    for at, path in logos(raw) if files is not None else ():
        try:
            found[path] = read_logo(_content(files or {}, path))
        except Unreadable as why:
            fault(at, f"{quoted(path)}: {why}")
    return found


def _content(files: Mapping[str, bytes], path: str) -> bytes:
    if path not in files:
        raise Unreadable("there is no such file, or it cannot be read")
    return files[path]


def _check_accent(accent: RawAccent | None, at: Path, fault: Report) -> None:
    grounds = {"light": LIGHT_GROUNDS, "dark": DARK_GROUNDS}
    for key, behind in grounds.items() if accent else ():
        given = getattr(accent, key)
        worst = min(behind, key=lambda ground: contrast(given, ground))
        if contrast(given, worst) < READABLE:
            side = "darker" if key == "light" else "lighter"
            message = f"`{given}` is hard to read on `{worst}`: {contrast(given, worst):.1f} to 1, {READABLE} is needed"
            fault((*at, "accent", key), f"{message}; choose a {side} one")


def check_ids(raw: RawConfig, fault: Report) -> None:
    """Ids name one thing each: a rule within its segment and the global rules, a list, an exemption."""
    common = _unique([rule.id for rule in raw.rules], ("rules",), {}, fault)
    for name, segment in raw.segments.items():
        _unique([rule.id for rule in segment.rules], ("segments", name, "rules"), common, fault)
    _unique([entry.id for entry in raw.lists], ("lists",), {}, fault)
    _unique([entry.id for entry in raw.exemptions], ("exemptions",), {}, fault)


def _unique(ids: Iterable[str], at: Path, taken: dict[str, Path], fault: Report) -> dict[str, Path]:
    seen = dict(taken)
    for n, id_ in enumerate(ids):
        here = (*at, n)
        if id_ in seen and id_ != NO_ID:
            fault((*here, "id"), f"id `{id_}` is taken already, by `{spelled(seen[id_])}`")
        seen.setdefault(id_, here)
    return seen


def placed_networks(raw: RawConfig) -> list[Placed]:
    """Every network of every segment."""
    return [
        (("segments", name, "networks", n), name, network)
        for name, segment in raw.segments.items()
        for n, network in enumerate(segment.networks)
    ]


def check_networks(placed: Iterable[Placed], fault: Report) -> dict[IPNetwork, str]:
    """One network stands once, in one segment; returns which."""
    owners: dict[IPNetwork, str] = {}
    for path, name, network in placed:
        if owner := owners.get(network):
            where = "twice in this segment" if owner == name else f"in segment `{owner}` already"
            fault(path, f"`{network}` is {where}: remove one of them")
        owners.setdefault(network, name)
    return owners


def nested(owners: dict[IPNetwork, str], placed: Iterable[Placed]) -> Iterator[tuple[Path, str]]:
    """Networks inside a network of another segment: allowed, but worth knowing."""
    lengths = sorted({network.prefixlen for network in owners}, reverse=True)
    for path, name, network in placed:
        wider = (network.supernet(new_prefix=length) for length in lengths if length < network.prefixlen)
        outer = next((around for around in wider if around in owners), network)
        if owners[outer] != name:
            yield (
                path,
                (
                    f"`{network}` lies inside `{outer}` of segment `{owners[outer]}`: its clients are in `{name}`, "
                    "since the longest prefix decides"
                ),
            )


def check_listeners(listen: Listen, fault: Report) -> None:
    """No two listeners on one address and port; a wildcard takes the port on every address."""
    places: list[tuple[Path, IPAddress, int]] = [
        (("listen", "dns", "port"), listen.dns.address, listen.dns.port),
        (("listen", "proxy", "port"), listen.proxy.address, listen.proxy.port),
        (("listen", "pages", "http"), listen.pages.address, listen.pages.http),
        (("listen", "pages", "https"), listen.pages.address, listen.pages.https),
        (("listen", "console", "port"), listen.console.address, listen.console.port),
    ]
    for address in listen.pages.further:
        places.append((("listen", "pages", "http"), address, listen.pages.http))
        places.append((("listen", "pages", "https"), address, listen.pages.https))
    if listen.proxy_tls:
        places.append((("listen", "proxy", "tls", "port"), listen.proxy_tls.address, listen.proxy_tls.port))
    if listen.transparent:
        places.append((("listen", "transparent", "port"), listen.transparent.address, listen.transparent.port))
    for n, (path, address, port) in enumerate(places):
        for taken, other, other_port in places[:n]:
            if port == other_port and _same(address, other):
                fault(path, f"port {port} on `{address}` is taken by `{spelled(taken)}`: choose another")
                break


def _same(one: IPAddress, other: IPAddress) -> bool:
    return one == other or one.is_unspecified or other.is_unspecified


def check_upstreams(settings: Settings, fault: Report) -> None:
    """An upstream that is this very filter would send every query in a circle."""
    dns = settings.listen.dns
    groups: list[tuple[Path, tuple[Upstream, ...]]] = [(("upstreams",), settings.upstreams)]
    groups += [(("resolver", "domains", name.text), given) for name, given in settings.resolving.domains]
    groups += [(("segments", name, "dns", "upstreams"), given) for name, given in settings.resolving.segments]
    for at, upstreams in groups:
        for n, upstream in enumerate(upstreams):
            if upstream.transport is Transport.UDP and (upstream.host, upstream.port) == (str(dns.address), dns.port):
                fault((*at, n), f"{quoted(upstream.text)} is this filter's own DNS listener: queries would circle")
