"""The configuration's one door: text to checked configuration, or all of its faults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path as FilePath

from sumun.config import checks
from sumun.config.configuration import Config
from sumun.config.dns import check_sinkholes, dns_policy, further_sinkholes
from sumun.config.document import read_document
from sumun.config.fault import ConfigError, Fault
from sumun.config.lists import check_lists, doubtful_lists
from sumun.config.raw import RawConfig, RawOrganisation
from sumun.config.raw_list import RawList
from sumun.config.raw_listen import RawDnsListener, RawDnsOverTls, RawProxyListener, RawTransparentListener
from sumun.config.raw_next_proxy import RawNextProxy
from sumun.config.raw_segment import RawAccent, RawProxyPolicy
from sumun.config.rules import Known, Report, build_exemption, build_rule
from sumun.config.settings import (
    ClientSubnet,
    DnsListener,
    DnsOverHttps,
    DnsOverTls,
    KeyPair,
    Listen,
    Listener,
    ListSource,
    PagesListener,
    ProxyLimits,
    Resolving,
    Settings,
    TlsListener,
    Tolerance,
    TransparentListener,
)
from sumun.config.shape import Shaped, shape
from sumun.config.surroundings import Surroundings
from sumun.config.users import build_users, check_users
from sumun.config.warnings import doubts
from sumun.model.colour import Accent
from sumun.model.logo import Logo
from sumun.model.name import parse_host
from sumun.model.next_proxy import NextProxy
from sumun.model.organisation import Organisation
from sumun.model.rule import Action, Exemption, Rule
from sumun.model.segment import ProxyPolicy, Segment


def parse_config(text: str, *, file: str, services: Collection[str], categories: Collection[str]) -> Config:
    """Read a configuration; raises ConfigError with every fault, and nothing else."""
    return parse_config_within(text, file=file, around=Surroundings(services, categories))


def parse_config_within(text: str, *, file: str, around: Surroundings) -> Config:
    """Read a configuration, and check it against more of what surrounds it; raises ConfigError."""
    shaped = shape(read_document(text, file=file))
    if shaped.raw is None:
        raise ConfigError(shaped.faults)
    return _build(shaped, shaped.raw, around)


@dataclass(frozen=True, slots=True)
class Outline:
    """What has to be known before the rest can be read: where files are."""

    state: FilePath = FilePath("var")
    lists: tuple[ListSource, ...] = ()
    logos: tuple[FilePath, ...] = ()


def outline(text: str, *, file: str) -> Outline:
    """Read as much of that as can be read; never raises for a faulty file."""
    try:
        raw = shape(read_document(text, file=file)).raw
    except ConfigError:
        raw = None
    if raw is None:
        return Outline()
    logos = sorted({path for _, path in checks.logos(raw)})
    return Outline(FilePath(raw.state), tuple(map(_list_source, raw.lists)), tuple(map(FilePath, logos)))


def _build(shaped: Shaped, raw: RawConfig, around: Surroundings) -> Config:
    fault, settings = shaped.fault, _settings(raw)
    known = _known(shaped, raw, around)
    logos = checks.vetted_logos(raw, around.logos, fault)
    segments = _segments(raw, known, logos, fault)
    rules = tuple(build_rule(rule, known, ("rules", n), fault) for n, rule in enumerate(raw.rules))
    exemptions = _exemptions(raw, known, fault)
    checks.check_segments(raw, _declared(shaped), fault)
    checks.check_ids(raw, fault)
    placed = checks.placed_networks(raw)
    owners = checks.check_networks(placed, fault)
    checks.check_accents(raw, fault)
    checks.check_listeners(settings.listen, fault)
    checks.check_upstreams(settings, fault)
    check_sinkholes(raw, around.categories, fault)
    check_lists(raw, around, fault)
    check_users(raw, fault)
    config = Config(
        settings=settings,
        segments=segments,
        rules=rules,
        exemptions=exemptions,
        unknown_clients=None if raw.unknown_clients == checks.REFUSE else raw.unknown_clients,
        organisation=_organisation(raw.organisation, logos),
    )
    if shaped.faults:
        raise ConfigError(shaped.faults)
    found = [*doubts(raw, config, around.at), *checks.nested(owners, placed), *doubtful_lists(raw, around)]
    return replace(config, warnings=tuple(sorted({shaped.document.fault(path, message) for path, message in found})))


def _organisation(raw: RawOrganisation, logos: Mapping[str, Logo]) -> Organisation:
    return Organisation(raw.name, raw.contact, _accent(raw.accent), logos.get(checks.normal(raw.logo)))


def _accent(raw: RawAccent | None) -> Accent | None:
    return Accent(raw.light, raw.dark) if raw else None


def _known(shaped: Shaped, raw: RawConfig, around: Surroundings) -> Known:
    return Known(
        services=frozenset(around.services),
        categories=frozenset(around.categories),
        lists=frozenset(entry.id for entry in raw.lists) | _declared_lists(shaped) | frozenset(around.lists),
        zone=raw.zone,
    )


def _declared(shaped: Shaped) -> list[str]:
    """Names of all segments of the file, faulty ones too: they are no reason for a second fault."""
    return [str(path[1]) for path in shaped.document.lines if len(path) == 2 and path[0] == "segments"]


def _declared_lists(shaped: Shaped) -> frozenset[str]:
    lists = shaped.document.data.get("lists")
    entries = lists if isinstance(lists, list) else []
    return frozenset(str(entry.get("id")) for entry in entries if isinstance(entry, dict))


def _segments(raw: RawConfig, known: Known, logos: Mapping[str, Logo], fault: Report) -> tuple[Segment, ...]:
    def rules(name: str) -> tuple[Rule, ...]:
        at = "segments", name, "rules"
        return tuple(build_rule(rule, known, (*at, n), fault) for n, rule in enumerate(raw.segments[name].rules))

    return tuple(
        Segment(
            name=name,
            networks=tuple(segment.networks),
            rules=rules(name),
            default=Action(segment.default),
            on_failure=segment.on_failure,
            title=segment.title,
            notice=segment.notice,
            contact=segment.contact,
            accent=_accent(segment.accent),
            logo=logos.get(checks.normal(segment.logo)),
            dns=dns_policy(raw, segment, ("segments", name), fault),
            proxy=_proxy_policy(segment.proxy, raw.upstream_proxy),
        )
        for name, segment in raw.segments.items()
    )


def _proxy_policy(raw: RawProxyPolicy, common: RawNextProxy | None) -> ProxyPolicy:
    chosen = raw.upstream_proxy or common
    return ProxyPolicy(
        frozenset(raw.connect_ports),
        raw.no_server_name,
        raw.address_literals,
        raw.encrypted_client_hello,
        raw.other_protocols,
        raw.dns_over_https,
        raw.authenticate,
        _next_proxy(chosen) if isinstance(chosen, RawNextProxy) else None,
    )


def _next_proxy(raw: RawNextProxy) -> NextProxy:
    host, port = raw.url
    credentials = FilePath(raw.credentials) if raw.credentials else None
    return NextProxy(parse_host(host), port, credentials, tuple(raw.direct), raw.tell_client, raw.timeout)


def _exemptions(raw: RawConfig, known: Known, fault: Report) -> tuple[Exemption, ...]:
    built = (build_exemption(entry, known, ("exemptions", n), fault) for n, entry in enumerate(raw.exemptions))
    return tuple(exemption for exemption in built if exemption)


def _settings(raw: RawConfig) -> Settings:
    listen = raw.listen
    return Settings(
        listen=Listen(
            dns=_dns(listen.dns),
            proxy=Listener(listen.proxy.address, listen.proxy.port, listen.proxy.workers),
            pages=PagesListener(
                listen.pages.address,
                listen.pages.address6,
                listen.pages.http,
                listen.pages.https,
                tuple((category, tuple(addresses)) for category, addresses in listen.pages.categories.items()),
                further_sinkholes(raw),
            ),
            console=Listener(listen.console.address, listen.console.port),
            transparent=_transparent(listen.transparent),
            proxy_tls=_tls(listen.proxy),
        ),
        upstreams=tuple(raw.upstreams),
        state=FilePath(raw.state),
        upstream_ca=None if raw.upstream_ca == "system" else FilePath(raw.upstream_ca),
        internal_destinations=tuple(raw.destinations.internal),
        trusted_parents=tuple(listen.proxy.trusted),
        proxy_limits=ProxyLimits(**listen.proxy.limits.model_dump(), drain=listen.proxy.drain),
        lists=tuple(map(_list_source, raw.lists)),
        resolving=_resolving(raw),
        zone=raw.zone,
        store=raw.store,
        download_proxy=raw.downloads.proxy,
        users=build_users(raw.users),
    )


def _resolving(config: RawConfig) -> Resolving:
    raw, segments = config.resolver, config.segments.items()
    return Resolving(
        local=tuple((name, tuple(addresses)) for name, addresses in raw.local.items()),
        domains=tuple((name, tuple(upstreams)) for name, upstreams in raw.domains.items()),
        segments=tuple((name, tuple(each.dns.upstreams)) for name, each in segments if each.dns.upstreams),
        mixed_case=raw.mixed_case,
        private_answers=raw.private_answers,
        private_domains=(*raw.private_domains, *raw.domains),
        rate_limit=raw.rate_limit,
        unlimited=tuple(raw.unlimited),
    )


def _dns(raw: RawDnsListener) -> DnsListener:
    tls, https, shortest = raw.tls, raw.https, raw.client_subnet
    return DnsListener(
        raw.address,
        raw.port,
        raw.workers,
        tls=DnsOverTls(tls.port, _keys(tls)) if tls else None,
        https=DnsOverHttps(https.port, _keys(https), https.path) if https else None,
        trusted=tuple(raw.trusted),
        client_subnet=ClientSubnet(shortest.ipv4, shortest.ipv6),
    )


def _keys(raw: RawDnsOverTls) -> KeyPair:
    return KeyPair(FilePath(raw.certificate), FilePath(raw.key))


def _tls(raw: RawProxyListener) -> TlsListener | None:
    if raw.tls is None:
        return None
    ca = FilePath(raw.tls.client_ca) if raw.tls.client_ca else None
    return TlsListener(raw.address, raw.tls.port, FilePath(raw.tls.certificate), FilePath(raw.tls.key), ca)


def _transparent(raw: RawTransparentListener | None) -> TransparentListener | None:
    return TransparentListener(raw.address, raw.port, raw.leading) if raw else None


def _list_source(raw: RawList) -> ListSource:
    return ListSource(
        id=raw.id,
        format=raw.format,
        path=FilePath(raw.path) if raw.path else None,
        url=raw.url or "",
        refresh=raw.refresh,
        sha256=raw.sha256 or "",
        public_key=raw.public_key or "",
        signature=raw.signature or "",
        tolerance=Tolerance(raw.tolerance.refused, raw.tolerance.shrink, raw.tolerance.growth),
        guard=raw.guard,
    )


__all__ = [
    "Config",
    "ConfigError",
    "Fault",
    "Outline",
    "Surroundings",
    "outline",
    "parse_config",
    "parse_config_within",
]
