from __future__ import annotations

from ipaddress import ip_address

import pytest

from sumun.config.configuration import Config
from sumun.config.fault import ConfigError
from sumun.config.parse import parse_config
from sumun.model.segment import StructuredErrors


def parse(text: str) -> Config:
    return parse_config(text, file="c.yaml", services=["deepseek"], categories=["llm-api", "chat-assistant"])


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return [f"{fault.path}: {fault.message}" for fault in caught.value.faults]


SEGMENT = "version: 1\nsegments: {a: {networks: [10.0.0.0/8], %s}}\n"


def test_errors_that_software_reads_name_contact_and_organisation() -> None:
    draft = SEGMENT % "dns: {structured_errors: draft-09, ede: 17}"
    theirs = parse(draft + "organisation: {name: {ko: 기관, en: Agency}, contact: it@example.test}\n").segments[0].dns
    assert (theirs.ede, theirs.structured_errors) == (17, StructuredErrors("mailto:it@example.test", "Agency"))
    own = parse(SEGMENT % "contact: 'https://help.example.test/', dns: {structured_errors: draft-09}").segments[0].dns
    assert own.structured_errors == StructuredErrors("https://help.example.test/", "")
    assert faults(draft) == [
        "/segments/a/dns/structured_errors: `structured_errors` must name whom to ask: "
        "give the segment or the organisation a `contact`"
    ]
    assert parse(SEGMENT % "dns: {}").segments[0].dns.structured_errors is None


@pytest.mark.parametrize("value", ["ede: 4", "ede: 19", "structured_errors: draft-27", "structured_errors: true"])
def test_what_is_not_spoken_is_refused(value: str) -> None:
    assert faults(SEGMENT % f"dns: {{{value}}}")


def test_addresses_of_rules_and_categories_are_gathered_for_the_listeners() -> None:
    config = parse("""\
version: 1
listen: {pages: {address: 192.0.2.1, address6: "2001:db8::1", categories: {llm-api: [192.0.2.2, "2001:db8::2"]}}}
rules: [{id: all, action: block, services: [deepseek], sinkhole: [192.0.2.3]}]
segments: {a: {networks: [10.0.0.0/8], rules: [{id: own, action: warn, categories: [llm-api], sinkhole: [192.0.2.1]}]}}
""")
    pages = config.settings.listen.pages
    assert pages.addresses == (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
    assert pages.further == tuple(map(ip_address, ["192.0.2.2", "2001:db8::2", "192.0.2.3"]))
    assert dict(pages.categories) == {"llm-api": pages.further[:2]}
    assert config.rules[0].sinkhole == (ip_address("192.0.2.3"),)
    assert config.segments[0].rules[0].sinkhole == (ip_address("192.0.2.1"),)


def test_what_no_client_could_be_led_to_is_a_fault() -> None:
    assert faults("""\
version: 1
listen: {pages: {categories: {llm-apis: [192.0.2.2]}}}
segments:
  a:
    networks: [10.0.0.0/8]
    rules:
      - {id: two, action: block, services: [deepseek], sinkhole: [192.0.2.2, 192.0.2.3]}
      - {id: null-route, action: block, services: [deepseek], sinkhole: [0.0.0.0]}
      - {id: passes, action: allow, services: [deepseek], sinkhole: [192.0.2.3]}
""") == [
        "/listen/pages/categories/llm-apis: unknown category `llm-apis`; did you mean `llm-api`?",
        "/segments/a/rules/0/sinkhole: a sinkhole is one IPv4 address, one IPv6 address, or one of each",
        "/segments/a/rules/1/sinkhole/0: `0.0.0.0` is no address that clients could reach: name one of this host's own",
        "/segments/a/rules/2/sinkhole: `sinkhole` goes with `block`, `warn` or `justify`: "
        "`allow` leads nobody elsewhere",
    ]


def test_a_port_taken_on_a_further_address_is_a_fault() -> None:
    assert faults("""\
version: 1
listen: {pages: {http: 8090, categories: {llm-api: [192.0.2.2]}}, console: {address: 192.0.2.2, port: 8090}}
segments: {a: {networks: [10.0.0.0/8]}}
""") == ["/listen/console/port: port 8090 on `192.0.2.2` is taken by `/listen/pages/http`: choose another"]


def test_segments_have_resolvers_of_their_own() -> None:
    resolving = parse(SEGMENT % "dns: {upstreams: ['udp://192.0.2.53', system]}").settings.resolving
    assert [(name, [each.text for each in given]) for name, given in resolving.segments] == [
        ("a", ["udp://192.0.2.53", "system"])
    ]
    own = SEGMENT % "dns: {upstreams: ['udp://127.0.0.1:8053']}"
    assert "queries would circle" in faults(own)[0]
