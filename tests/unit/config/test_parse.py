"""The one door: text to configuration, or every fault of it."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, time, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config.configuration import Config
from sumun.config.fault import ConfigError
from sumun.config.parse import Surroundings, outline, parse_config, parse_config_within
from sumun.config.settings import ListSource, Resolving, Transport, Upstream
from sumun.model.name import DomainName
from sumun.model.organisation import Organisation
from sumun.model.rule import Action, Conditions, Exemption, Mode
from sumun.model.schedule import Hours
from sumun.model.segment import DnsAnswer, DnsPolicy, FailMode
from sumun.model.service import Match, Pattern
from sumun.model.text import Text

SERVICES = ("deepseek", "chatgpt", "openai-api")
CATEGORIES = ("chat-assistant", "llm-api")
SEOUL = ZoneInfo("Asia/Seoul")


def parse(text: str, *, file: str = "c.yaml") -> Config:
    return parse_config(text, file=file, services=SERVICES, categories=CATEGORIES)


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value).split("\n")


def test_five_different_faults_are_all_reported_with_their_lines() -> None:
    text = """\
version: 1
segments:
  hq-network:
    networks: [10.0.0.0/33]
    rules:
      - id: one
        action: block
        services: [deepsek]
      - id: one
        action: block
        categories: ["*"]
      - id: two
        acton: block
        action: monitor
unknown_clients: hq-netwrk
"""
    assert faults(text) == [
        "c.yaml:4: /segments/hq-network/networks/0: `10.0.0.0/33` is not a network: prefix length above 32",
        "c.yaml:8: /segments/hq-network/rules/0/services/0: unknown service `deepsek`; did you mean `deepseek`?",
        "c.yaml:9: /segments/hq-network/rules/1/id: id `one` is taken already, by `/segments/hq-network/rules/0`",
        "c.yaml:13: /segments/hq-network/rules/2/acton: unknown key `acton`; did you mean `action`?",
        "c.yaml:15: /unknown_clients: unknown segment `hq-netwrk`; did you mean `hq-network`?",
    ]


def test_only_version_and_segments_are_needed() -> None:
    config = parse("version: 1\nsegments: {a: {networks: [10.0.0.0/8]}}\n")
    listen = config.settings.listen
    assert (listen.dns.port, listen.proxy.port, listen.pages.http, listen.pages.https, listen.console.port) == (
        8053, 8080, 8081, 8443, 8090,
    )  # fmt: skip
    assert listen.pages.address == ip_address("127.0.0.1")
    assert listen.pages.address6 is None
    assert (listen.dns.workers, listen.proxy.workers) == (1, 1)
    assert [upstream.transport for upstream in config.settings.upstreams] == [Transport.SYSTEM]
    assert (config.settings.state, config.settings.upstream_ca) == (Path("var"), None)
    segment = config.segments[0]
    assert (segment.on_failure, segment.default, segment.dns) == (FailMode.CLOSED, Action.ALLOW, DnsPolicy())
    assert config.unknown_clients is None
    assert config.warnings == ()


EVERYTHING = """\
version: 1
organisation: {name: {en: Example, ko: 예시}, contact: it@example.org}
zone: Asia/Seoul
listen:
  dns: {address: 192.0.2.1, port: 53, workers: 2}
  proxy: {address: 192.0.2.1, port: 8080, workers: 4}
  pages: {address: 192.0.2.1, address6: 2001:db8::1, http: 80, https: 443}
  console: {address: 127.0.0.1, port: 8090}
upstreams: [udp://192.0.2.53:53, tls://192.0.2.53#dns.example]
resolver:
  local: {Printer.example.: [10.0.0.9, "fd00::9"]}
  domains: {corp.example: [udp://10.0.0.53]}
  private_answers: false
  private_domains: [lab.example]
  rate_limit: 500
  unlimited: [10.0.0.0/24]
upstream_ca: ca.pem
destinations: {internal: [10.9.0.0/16]}
state: /var/lib/sumun
segments:
  a:
    title: {en: A network, ko: 에이}
    networks: [10.20.0.0/16, "2001:db8::/32"]
    on_failure: open
    dns: {answer: null, ttl: 60, steer: false}
    default: monitor
    rules:
      - id: everything
        action: justify
        mode: shadow
        services: [deepseek]
        categories: [chat-assistant, "*"]
        vendor_countries: [cn, NO]
        data_countries: [CN]
        on_premises: false
        domains: [ai.example, {name: x.example, match: exact}, "*-ai.cloud.example"]
        lists: [local]
        clients: [10.20.1.0/24, 10.20.2.7]
        users: [kim]
        models: ["deepseek*"]
        content: [resident-number]
        uploads: true
        hours: {days: mon-fri, times: ["09:00-12:00", "22:00-06:00"], zone: UTC}
        from: 2025-02-06
        until: 2025-02-07T18:00+09:00
        reason: because
        reference: 2025
        authority: Office
        review: 2025-03-01
        ttl: 8h
        approver: Lee
rules:
  - {id: own-workspace, action: allow, services: [chatgpt], tenant: {X-Workspace: abc}, until: 2025-07-31}
unknown_clients: a
lists:
  - {id: local, path: lists/local.txt, format: hosts}
exemptions:
  - {id: e1, client: 10.20.1.5, service: deepseek, until: 2025-02-10, reason: demo, approver: Lee}
"""


def test_every_key_arrives_where_it_belongs() -> None:
    config = parse(EVERYTHING)
    segment, (own,) = config.segments[0], config.rules
    rule = segment.rules[0]
    assert config.organisation == Organisation(Text((("en", "Example"), ("ko", "예시"))), "it@example.org")
    assert config.settings.listen.pages.address6 == ip_address("2001:db8::1")
    assert config.settings.internal_destinations == (ip_network("10.9.0.0/16"),)
    assert config.settings.upstream_ca == Path("ca.pem")
    assert config.settings.lists == (ListSource("local", "hosts", Path("lists/local.txt")),)
    assert config.settings.resolving == Resolving(
        local=((DomainName("printer.example"), (ip_address("10.0.0.9"), ip_address("fd00::9"))),),
        domains=((DomainName("corp.example"), (Upstream("udp://10.0.0.53", Transport.UDP, "10.0.0.53"),)),),
        private_answers=False,
        private_domains=(DomainName("lab.example"), DomainName("corp.example")),
        rate_limit=500,
        unlimited=(ip_network("10.0.0.0/24"),),
    )
    assert segment.dns == DnsPolicy(DnsAnswer.NULL, 60, steer=False)
    assert (segment.default, segment.on_failure, segment.title.within("ko")) == (Action.MONITOR, FailMode.OPEN, "에이")
    assert rule.when == Conditions(
        services=frozenset({"deepseek"}),
        categories=frozenset({"chat-assistant", "*"}),
        vendor_countries=frozenset({"CN", "NO"}),
        data_countries=frozenset({"CN"}),
        on_premises=False,
        domains=(Pattern("ai.example"), Pattern("x.example", Match.EXACT), Pattern("*-ai.cloud.example", Match.GLOB)),
        lists=frozenset({"local"}),
        clients=(ip_network("10.20.1.0/24"), ip_network("10.20.2.7/32")),
        users=frozenset({"kim"}),
        models=("deepseek*",),
        content=frozenset({"resident-number"}),
        uploads=True,
    )
    assert rule.schedule.hours == Hours(
        ZoneInfo("UTC"), frozenset(range(5)), ((time(9), time(12)), (time(22), time(6)))
    )
    assert rule.schedule.start == datetime(2025, 2, 6, tzinfo=UTC)
    assert rule.schedule.until == datetime(2025, 2, 7, 9, tzinfo=UTC)
    assert (rule.action, rule.mode, rule.ttl, rule.approver) == (Action.JUSTIFY, Mode.SHADOW, timedelta(hours=8), "Lee")
    assert (rule.reason.within("en"), rule.reference, rule.authority) == ("because", "2025", "Office")
    assert rule.review is not None
    assert rule.review.isoformat() == "2025-03-01"
    assert own.tenant == (("X-Workspace", "abc"),)
    assert own.schedule.until == datetime(2025, 8, 1, tzinfo=SEOUL)
    assert config.exemptions == (
        Exemption(
            "e1", "deepseek", datetime(2025, 2, 10, 15, tzinfo=UTC), ip_network("10.20.1.5/32"), None, "demo", "Lee"
        ),
    )
    assert config.unknown_clients == "a"


def test_the_surroundings_are_checked_where_they_are_known() -> None:
    around = Surroundings(SERVICES, CATEGORIES, formats=["domains"], list_digests={})
    with pytest.raises(ConfigError) as caught:
        parse_config_within(EVERYTHING, file="c.yaml", around=around)
    assert str(caught.value).split("\n") == [
        "c.yaml:56: /lists/0/format: unknown format `hosts`",
        "c.yaml:56: /lists/0/path: no file at `lists/local.txt`: paths are relative to the working directory",
    ]


def test_the_outline_is_read_out_of_a_faulty_file() -> None:
    text = EVERYTHING.replace("action: justify", "action: what").replace("deepseek", "nobody")
    assert outline(text, file="c.yaml") == outline(EVERYTHING, file="c.yaml")
    assert outline(text, file="c.yaml").state == Path("/var/lib/sumun")
    assert outline("a: [", file="c.yaml").state == Path("var")


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=20)
    | st.sampled_from(["10.0.0.0/8", "::/0", "a", "deepseek", "*", "2025-01-01", "9999-12-31", "24h", "https://x"])
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, below in inner for place in places(below, (*path, key)))]


def everything() -> Any:
    import yaml

    return json.loads(json.dumps(yaml.safe_load(EVERYTHING), default=str))


PLACES = places(everything())


@given(st.lists(st.tuples(st.sampled_from(PLACES[1:]), VALUES), min_size=1, max_size=4))
def test_whatever_stands_anywhere_only_faults_are_raised(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    data = everything()
    for (*above, last), value in changes:
        holder = data
        with suppress(LookupError, TypeError):
            for step in above:
                holder = holder[step]
            holder[last] = value
    with suppress(ConfigError):
        assert parse(json.dumps(data)).segments


@given(st.dictionaries(st.sampled_from([str(place[0]) for place in PLACES[1:]]) | st.text(max_size=5), VALUES))
def test_any_mapping_gives_a_configuration_or_faults(data: dict[str, Any]) -> None:
    with suppress(ConfigError):
        assert parse(json.dumps(data)).segments
