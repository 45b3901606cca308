"""Random policies and requests over a small universe, so that things do collide."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_address, ip_network
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from sumun.model.grant import Grant, GrantKind
from sumun.model.listed import Entry, Hold
from sumun.model.name import DomainName
from sumun.model.request import UNKNOWN, AccessRequest, Facet
from sumun.model.rule import Action, Conditions, Exemption, Mode, Rule
from sumun.model.schedule import Hours, Schedule
from sumun.model.segment import Segment
from sumun.model.service import Match, Pattern, Service, ServiceDomain
from sumun.model.text import Text
from sumun.policy.compile import PolicySource

START = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = [
    "a.test",
    "b.a.test",
    "x-b.a.test",
    "c.b.a.test",
    "y.c.b.a.test",
    "d.test",
    "e.d.test",
    "z.d.test",
    "other.example",
]
PATTERNS = [
    *(Pattern(n, m) for n in NAMES for m in (Match.SUFFIX, Match.EXACT)),
    Pattern("*-b.a.test", Match.GLOB), Pattern("*.b.a.test", Match.GLOB), Pattern("*.c.b.a.test", Match.GLOB),
    Pattern("y.*.b.a.test", Match.GLOB),
]  # fmt: skip
SERVICES, CATEGORIES, COUNTRIES = ["s0", "s1", "s2"], ["chat", "search"], ["KR", "CN", "US"]
LISTS, USERS, MODELS, DETECTORS = ["l0", "l1"], ["kim", "lee"], ["deepseek-r1", "gpt-5"], ["rrn", "card"]
CLIENTS = ["10.1.0.1", "10.1.2.1", "10.2.0.1", "10.9.0.1", "2001:db8:1::1", "2001:db8:1:2::1"]
NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/16", "2001:db8:1::/48", "2001:db8:1:2::/64"]
ZONES = [
    ZoneInfo("UTC"),
    ZoneInfo("Asia/Seoul"),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
]

instants = st.integers(0, 60 * 24 * 400).map(lambda minutes: START + timedelta(minutes=minutes))
clocks = st.integers(0, 47).map(lambda half_hours: time(half_hours // 2, half_hours % 2 * 30))
intervals = st.lists(st.tuples(clocks, clocks), min_size=1, max_size=2).map(tuple)
hours = st.builds(Hours, st.sampled_from(ZONES), st.frozensets(st.integers(0, 6), min_size=1), intervals)
schedules = st.builds(Schedule, st.none() | hours, st.none() | instants, st.none() | instants)


def _some(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.frozensets(st.sampled_from(values), min_size=1, max_size=2)


def _tuple(values: list[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=2).map(tuple)


conditions = st.builds(
    Conditions,
    services=_some(SERVICES), categories=_some([*CATEGORIES, "*"]), vendor_countries=_some(COUNTRIES),
    data_countries=_some(COUNTRIES), on_premises=st.sampled_from([None, None, True, False]),
    domains=_tuple(PATTERNS), lists=_some(LISTS),
    clients=_tuple([ip_network(n) for n in NETWORKS]), users=_some(USERS), models=_tuple(["deepseek*", "GPT-*", "*r1"]),
    content=_some(DETECTORS), uploads=st.none() | st.booleans(),
)  # fmt: skip
sparse = st.builds(Conditions, services=_some(SERVICES), models=_tuple(["deepseek*"]), users=_some(USERS))
tenants = st.sampled_from([(), (), (("x-tenant", "a"),)])
rules = st.builds(
    Rule,
    id=st.integers(0, 99).map("r{}".format),
    action=st.sampled_from(Action), when=conditions | sparse, schedule=st.just(Schedule()) | schedules,
    mode=st.sampled_from([Mode.ENFORCE, Mode.ENFORCE, Mode.SHADOW]), tenant=tenants,
    approver=st.sampled_from(["", "", "park"]),
)  # fmt: skip
domains = st.builds(
    ServiceDomain,
    st.sampled_from(PATTERNS),
    st.just("web"),
    st.booleans(),
    st.sampled_from([(), ("/chat",), ("/chat", "/ai")]),
)

holds = st.sampled_from([Hold.LISTED, Hold.LISTED, *Hold])
left_out = st.lists(st.sampled_from(NAMES), max_size=1).map(tuple)
entries = st.builds(Entry, st.sampled_from(PATTERNS), holds, st.just(()) | left_out)
"""Entries of lists, with exceptions of every kind."""


@st.composite
def services(draw: st.DrawFn) -> list[Service]:
    """Services that never claim the same pattern, as the catalogue's tests demand."""
    entries = draw(st.lists(domains, min_size=1, max_size=8, unique_by=lambda d: d.pattern))
    owners = draw(st.lists(st.sampled_from(SERVICES), min_size=len(entries), max_size=len(entries)))
    return [
        Service(
            id_, Text.of(id_), "vendor", draw(st.sampled_from(COUNTRIES)), draw(st.sampled_from(CATEGORIES)),
            tuple(e for e, owner in zip(entries, owners, strict=True) if owner == id_),
            parent_country=draw(st.none() | st.sampled_from(COUNTRIES)),
            data_countries=draw(st.frozensets(st.sampled_from(COUNTRIES))),
            on_premises=draw(st.sampled_from([None, True, False])),
        )
        for id_ in SERVICES
    ]  # fmt: skip


@st.composite
def sources(draw: st.DrawFn) -> PolicySource:
    networks = draw(st.permutations(NETWORKS))
    cut = draw(st.integers(1, len(networks) - 1))
    segments = [
        Segment(
            name, tuple(map(ip_network, own)), tuple(draw(st.lists(rules, max_size=4))),
            default=draw(st.sampled_from([Action.ALLOW, Action.ALLOW, Action.BLOCK, Action.WARN])),
        )
        for name, own in (("first", networks[:cut]), ("second", networks[cut:]))
    ]  # fmt: skip
    exemptions = st.builds(
        Exemption, st.integers(0, 9).map(str), st.sampled_from(SERVICES), instants,
        st.none() | st.sampled_from([ip_network(n) for n in NETWORKS]), st.none() | st.sampled_from(USERS),
    )  # fmt: skip
    return PolicySource(
        segments=segments,
        rules=draw(st.lists(rules, max_size=3)),
        services=draw(services()),
        lists={id_: draw(st.lists(entries, max_size=3)) for id_ in LISTS},
        exemptions=draw(st.lists(exemptions, max_size=1)),
        unknown_clients=draw(st.none() | st.just("second")),
        revision="random",
    )


@st.composite
def grants(draw: st.DrawFn, source: PolicySource) -> list[Grant]:
    """What may have been granted under this policy: mostly for rules that it has, sometimes for none."""
    places = [(s.name, r.id) for s in source.segments for r in (*source.rules, *s.rules)]
    places += [(s.name, "") for s in source.segments] + [("first", "r-gone")]
    found = []
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(GrantKind))
        segment, rule = ("", "") if kind is GrantKind.EXEMPTION else draw(st.sampled_from(places))
        service = draw(st.sampled_from(SERVICES if kind is GrantKind.EXEMPTION else [*SERVICES, ""]))
        networks = NETWORKS if kind is GrantKind.EXEMPTION else CLIENTS
        client = draw(st.none() | st.sampled_from([ip_network(n) for n in networks]))
        found.append(
            Grant(
                f"g{number}", kind, draw(instants), service, "" if service else draw(st.sampled_from(NAMES)),
                client, None if client else draw(st.sampled_from(USERS)), segment, rule,
                approver=draw(st.sampled_from(["", "park"])),
            )
        )  # fmt: skip
    return found


@st.composite
def granted_sources(draw: st.DrawFn) -> tuple[PolicySource, list[Grant]]:
    source = draw(sources())
    return source, draw(grants(source))


@st.composite
def requests(draw: st.DrawFn) -> AccessRequest:
    """A request of which everything is known."""
    name = draw(st.none() | st.sampled_from(NAMES))
    return AccessRequest(
        client=ip_address(draw(st.sampled_from(CLIENTS))),
        name=DomainName(name) if name else None,
        path=draw(st.sampled_from(["/", "/chat", "/ai/x"])),
        user=draw(st.none() | st.sampled_from(USERS)),
        model=draw(st.none() | st.sampled_from([*MODELS, "DeepSeek-R1"])),
        content=draw(st.frozensets(st.sampled_from(DETECTORS))),
        uploads=draw(st.booleans()),
    )


def forget(request: AccessRequest, facets: frozenset[Facet]) -> AccessRequest:
    """The same request with these facets unknown."""
    from dataclasses import replace

    return replace(request, **{facet.value: UNKNOWN for facet in facets})
