"""Checks across the whole configuration."""

from __future__ import annotations

import pytest

from tests.unit.config.test_parse import faults, parse

TWO = "version: 1\nsegments:\n  a: {{networks: [{}]}}\n  b: {{networks: [{}]}}\n"
ONE = "version: 1\nsegments: {a: {networks: [10.0.0.0/8]}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            TWO.format("10.0.0.0/8", "10.0.0.0/8"),
            "c.yaml:4: /segments/b/networks/0: `10.0.0.0/8` is in segment `a` already: remove "
            "one of them",
        ),
        (
            TWO.format("10.0.0.0/8, 10.0.0.0/8", ""),
            "c.yaml:3: /segments/a/networks/1: `10.0.0.0/8` is twice in this segment: remove "
            "one of them",
        ),
        (
            "version: 1\nsegments: {unknown: {}}\n",
            "c.yaml:2: /segments/unknown: `unknown` has a meaning of its own: choose "
            "another name",
        ),
        (ONE + "unknown_clients: b\n", "c.yaml:3: /unknown_clients: unknown segment `b`"),
        (
            ONE + "listen: {proxy: {port: 8053}}\n",
            "c.yaml:3: /listen/proxy/port: port 8053 on `127.0.0.1` is taken by `/listen/dns/port`: "
            "choose another",
        ),
        (
            ONE + "listen: {console: {address: 0.0.0.0, port: 8443}}\n",
            "c.yaml:3: /listen/console/port: port 8443 on `0.0.0.0` is taken by `/listen/pages/https`: "
            "choose another",
        ),
        (
            ONE + "upstreams: ['udp://127.0.0.1:8053']\n",
            "c.yaml:3: /upstreams/0: `udp://127.0.0.1:8053` is this filter's own DNS listener: queries "
            "would circle",
        ),
        (
            ONE + "lists: [{id: l, path: x}, {id: l, path: y}]\n",
            "c.yaml:3: /lists/1/id: id `l` is taken already, by "
            "`/lists/0`",
        ),
        (ONE + "lists: [{id: l}]\n", "c.yaml:3: /lists/0: a list has a `path` or a `url`: give one of them"),
        (
            ONE + "exemptions: [{id: e, service: deepseek, until: 2025-01-01}]\n",
            "c.yaml:3: /exemptions/0: an exemption is for a `client` or for a `user`: give "
            "one of them",
        ),
        (
            ONE + "exemptions: [{id: e, user: kim, service: deepsek, until: 2025-01-01}]\n",
            "c.yaml:3: /exemptions/0/service: unknown service `deepsek`; did you mean "
            "`deepseek`?",
        ),
    ],
)  # fmt: skip
def test_what_collides_is_said(text: str, message: str) -> None:
    assert faults(text) == [message]


def test_a_rule_may_not_take_the_id_of_a_global_one_but_segments_do_not_share_ids() -> None:
    rule = "[{id: r, action: block, services: [deepseek]}]"
    segments = f"version: 1\nsegments:\n  a: {{rules: {rule}}}\n  b: {{rules: {rule}}}\n"
    assert len(parse(segments).segments) == 2
    assert faults(f"{segments}rules: {rule}\n") == [
        "c.yaml:3: /segments/a/rules/0/id: id `r` is taken already, by `/rules/0`",
        "c.yaml:4: /segments/b/rules/0/id: id `r` is taken already, by `/rules/0`",
    ]


def test_one_port_on_two_addresses_is_no_collision() -> None:
    assert parse(f"{ONE}listen: {{proxy: {{address: 127.0.0.2, port: 8053}}}}\n").settings.listen.proxy.port == 8053


def test_a_segment_with_a_fault_of_its_own_is_still_known() -> None:
    assert faults("version: 1\nsegments: {a: {netwrks: []}}\nunknown_clients: a\n") == [
        "c.yaml:2: /segments/a/netwrks: unknown key `netwrks`; did you mean `networks`?"
    ]
