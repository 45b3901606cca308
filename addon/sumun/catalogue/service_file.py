"""One service's YAML file to a checked value; docs/reference/catalogue.md describes the keys."""

from __future__ import annotations

from sumun.catalogue.categories import CATEGORIES, PLATFORMS, ROLES
from sumun.catalogue.countries import COUNTRIES, VENDOR_COUNTRIES
from sumun.catalogue.faults import ServiceFault
from sumun.catalogue.public_suffix import is_public_suffix
from sumun.catalogue.reader import Mapped, Reader
from sumun.model.name import DomainName, InvalidName
from sumun.model.service import UNKNOWN_COUNTRY, App, Match, Pattern, Service, ServiceDomain

__all__ = ["ServiceFault", "parse_service"]

_SERVICE_KEYS = (
    "id", "title", "aliases", "vendor", "category", "data", "serves_models", "models_evidence", "on_premises",
    "apps", "domains", "ended", "reviewed", "note",
)  # fmt: skip
_DOMAIN_KEYS = ("name", "match", "role", "shared", "paths", "sources", "within", "matches", "spares", "note")


def parse_service(text: str, *, file: str) -> Service:
    """Read one service; ``file`` is its path, whose last part must be ``<id>.yaml``; raises ServiceFault."""
    reader = Reader(file)
    top = reader.mapping(reader.document(text), _SERVICE_KEYS)
    return _service(reader, top)


def _service(reader: Reader, top: Mapped) -> Service:
    id_ = _id(reader, top)
    vendor, parent = _vendor(reader, top)
    countries, basis, source = _data(reader, top)
    offered, offered_source = _on_premises(reader, top)
    return Service(
        id=id_,
        title=reader.words(top, "title"),
        vendor=vendor[0],
        vendor_country=vendor[1],
        vendor_source=vendor[2],
        category=reader.choice(top, "category", CATEGORIES),
        domains=_domains(reader, top),
        parent=parent[0] or None,
        parent_country=parent[1] or None,
        data_countries=countries,
        data_basis=basis,
        data_source=source,
        aliases=reader.texts(top, "aliases"),
        serves_models=reader.texts(top, "serves_models"),
        models_evidence=reader.text(top, "models_evidence", ""),
        on_premises=offered,
        on_premises_source=offered_source,
        apps=_apps(reader, top),
        ended=reader.day(top, "ended"),
        reviewed=reader.day(top, "reviewed"),
        note=reader.text(top, "note", ""),
    )


def _id(reader: Reader, top: Mapped) -> str:
    id_ = reader.identifier(top, "id")
    stem = reader.file.rpartition("/")[2].rpartition("\\")[2].removesuffix(".yaml")
    if id_ != stem:
        raise reader.fault(top.line("id"), f"id `{id_}` is not the file's name `{stem}`: rename one of them")
    return id_


def _vendor(reader: Reader, top: Mapped) -> tuple[tuple[str, str, str], tuple[str, str]]:
    """Name, country and source of the vendor; name and country of its parent company."""
    vendor = reader.mapping(reader.needed(top, "vendor"), ("name", "country", "source", "parent"))
    name, country = reader.text(vendor, "name"), reader.text(vendor, "country", UNKNOWN_COUNTRY)
    reader.one_of(vendor.line("country"), country, VENDOR_COUNTRIES, "country code of ISO 3166")
    own = name, country, reader.text(vendor, "source", "")
    node = vendor.get("parent")
    if node is None:
        return own, ("", "")
    parent = reader.mapping(node, ("name", "country"))
    parent_country = reader.text(parent, "country", UNKNOWN_COUNTRY)
    reader.one_of(parent.line("country"), parent_country, VENDOR_COUNTRIES, "country code of ISO 3166")
    return own, (reader.text(parent, "name"), parent_country)


def _data(reader: Reader, top: Mapped) -> tuple[frozenset[str], str, str]:
    """Where user data are kept; given at all only where something establishes it."""
    node = top.get("data")
    if node is None:
        return frozenset(), "", ""
    data = reader.mapping(node, ("countries", "basis", "source"))
    countries = reader.texts(data, "countries")
    if not countries:
        raise reader.fault(data.line("countries"), "`data` names no country: leave it out where none is established")
    for country in countries:
        reader.one_of(data.line("countries"), country, COUNTRIES, "country code of ISO 3166")
    return frozenset(countries), reader.text(data, "basis"), reader.text(data, "source")


def _on_premises(reader: Reader, top: Mapped) -> tuple[bool | None, str]:
    """Whether it is offered for one's own machines, and how that is known."""
    node = top.get("on_premises")
    if node is None:
        return None, ""
    given = reader.mapping(node, ("offered", "source"))
    reader.needed(given, "offered")
    return reader.flag(given, "offered"), reader.text(given, "source")


def _apps(reader: Reader, top: Mapped) -> tuple[App, ...]:
    node = top.get("apps")
    given = [] if node is None else [reader.mapping(app, ("platform", "id", "source")) for app in reader.sequence(node)]
    return tuple(
        App(reader.choice(app, "platform", PLATFORMS), reader.text(app, "id"), reader.text(app, "source"))
        for app in given
    )


def _domains(reader: Reader, top: Mapped) -> tuple[ServiceDomain, ...]:
    nodes = reader.sequence(reader.needed(top, "domains"))
    if not nodes:
        raise reader.fault(top.line("domains"), "service has no domain: it could never match")
    domains = tuple(_domain(reader, reader.mapping(node, _DOMAIN_KEYS)) for node in nodes)
    seen: set[tuple[Pattern, tuple[str, ...]]] = set()
    for node, domain in zip(nodes, domains, strict=True):
        if (key := (domain.pattern, domain.paths)) in seen:
            raise reader.fault(node.start_mark.line + 1, f"`{domain.pattern}` is given twice")
        seen.add(key)
    return domains


def _domain(reader: Reader, given: Mapped) -> ServiceDomain:
    paths, shared = reader.texts(given, "paths"), reader.flag(given, "shared")
    if paths and not shared:
        raise reader.fault(given.line("paths"), "`paths` tell a service apart on a shared domain: add `shared: true`")
    for path in paths:
        if not path.startswith("/") or path == "/":
            raise reader.fault(given.line("paths"), f"`{path}` is no path prefix: it starts with a slash and goes on")
    return ServiceDomain(
        pattern=_pattern(reader, given, shared=shared),
        role=reader.choice(given, "role", ROLES),
        shared=shared,
        paths=paths,
        sources=_sources(reader, given),
        within=reader.text(given, "within", ""),
        matches=_hosts(reader, given, "matches"),
        spares=_hosts(reader, given, "spares"),
        note=reader.text(given, "note", ""),
    )


def _pattern(reader: Reader, given: Mapped, *, shared: bool) -> Pattern:
    """A glob is recognised by its asterisk; ``match`` says ``exact`` where a suffix would be too much."""
    text, line = reader.text(given, "name"), given.line("name")
    wanted = reader.text(given, "match", "")
    if wanted:
        reader.one_of(given.line("match"), wanted, Match, "way to match")
    try:
        pattern = Pattern.parse(text, Match(wanted) if wanted else None)
    except InvalidName as error:
        raise reader.fault(line, f"`{text}` is no domain: {error}") from None
    if wanted and pattern.match != wanted:
        raise reader.fault(line, f"`{text}` has an asterisk, so it is a glob, not `{wanted}`")
    if pattern.match is Match.GLOB and "*" not in pattern.text:
        raise reader.fault(line, f"`{text}` is no glob: it has no asterisk")
    if is_public_suffix(pattern.text) and not shared:
        raise reader.fault(line, f"`{text}` covers domains of many owners: give the exact host, or `shared: true`")
    return pattern


def _sources(reader: Reader, given: Mapped) -> tuple[str, ...]:
    sources = reader.texts(given, "sources")
    if not sources:
        raise reader.fault(given.line("name"), "domain has no `sources`: name a list or page, or write `inferred`")
    return sources


def _hosts(reader: Reader, given: Mapped, key: str) -> tuple[str, ...]:
    hosts = reader.texts(given, key)
    for host in hosts:
        try:
            DomainName.parse(host)
        except InvalidName as error:
            raise reader.fault(given.line(key), f"`{host}` is no host name: {error}") from None
    return hosts
