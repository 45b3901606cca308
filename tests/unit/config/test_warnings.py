"""What can be loaded but will hardly do what was meant."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sumun.config.parse import Surroundings, parse_config_within
from tests.unit.config.test_parse import CATEGORIES, SERVICES, parse

RULES = "version: 1\nsegments: {a: {networks: [10.0.0.0/8]}}\nrules:\n"
BLOCK = "  - {id: r, action: block, services: [deepseek]"


def warnings(text: str) -> list[str]:
    return [str(warning) for warning in parse(text).warnings]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            RULES + "  - {id: r, action: block}\n",
            "c.yaml:4: /rules/0: rule `r` has no condition: `block` would meet every name on "
            "the internet",
        ),
        (
            RULES + "  - {id: r, action: allow}\n" + BLOCK.replace("r,", "s,") + "}\n",
            "c.yaml:5: /rules/1: rule `s` is never reached: `r` before it matches "
            "everything",
        ),
        (
            RULES + BLOCK + ", content: [x]}\n",
            "c.yaml:4: /rules/0/content: no detector of content is part of this version: where this rule would "
            "decide, `on_failure` does",
        ),
        (
            RULES + BLOCK + ", users: [x]}\n",
            "c.yaml:4: /rules/0/users: nobody is asked who they are: `users` is missing; this rule "
            "never matches",
        ),
        (
            RULES + BLOCK + ", ttl: 8h}\n",
            "c.yaml:4: /rules/0/ttl: `ttl` goes with `warn` or `justify`: `block` has nothing "
            "to remember",
        ),
        (
            RULES + BLOCK + ", approver: Lee}\n",
            "c.yaml:4: /rules/0/approver: `approver` goes with `justify`: `block` "
            "asks nobody",
        ),
        (
            RULES + "  - {id: r, action: block, domains: [kr]}\n",
            "c.yaml:4: /rules/0/domains/0: `kr` covers a whole "
            "top-level domain",
        ),
        (
            "version: 1\nsegments: {a: {}}\n",
            "c.yaml:2: /segments/a: no client is ever in this segment: it has no "
            "`networks`",
        ),
        (
            "version: 1\nsegments: {a: {networks: [10.0.0.0/8], default: block}}\n",
            "c.yaml:2: /segments/a/default: `default: block` meets every name on the internet, AI or not, for which "
            "no rule says otherwise",
        ),
        (
            "version: 1\nsegments: {a: {networks: [10.0.0.0/8]}, b: {networks: [10.1.0.0/16]}}\n",
            "c.yaml:2: /segments/b/networks/0: `10.1.0.0/16` lies inside `10.0.0.0/8` of segment `a`: its clients "
            "are in `b`, since the longest prefix decides",
        ),
        (
            RULES[:-7] + "listen: {pages: {address: 0.0.0.0}}\n",
            "c.yaml:3: /listen/pages/address: sinkholed clients would be told `0.0.0.0`: name the address at which "
            "they reach this host",
        ),
    ],
)  # fmt: skip
def test_each_doubt_is_explained(text: str, message: str) -> None:
    assert warnings(text) == [message]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(RULES + BLOCK + "}\n", id="plain block"),
        pytest.param(RULES + "  - {id: r, action: allow}\n", id="allow everything"),
        pytest.param("version: 1\nunknown_clients: a\nsegments: {a: {}}\n", id="segment for the unknown"),
    ],
)  # fmt: skip
def test_what_is_in_order_gives_none(text: str) -> None:
    assert warnings(text) == []


def test_a_rule_in_shadow_hides_nothing_behind_it() -> None:
    text = f"{RULES}  - {{id: s, action: block, mode: shadow}}\n{BLOCK}}}\n"
    assert not any("never reached" in warning for warning in warnings(text))


def test_a_catch_all_among_the_global_rules_hides_those_of_segments() -> None:
    text = (
        "version: 1\nrules: [{id: g, action: allow}]\nsegments:\n  a:\n    networks: [10.0.0.0/8]\n    rules:\n    "
        + BLOCK
        + "}\n"
    )
    assert warnings(text) == [
        "c.yaml:7: /segments/a/rules/0: rule `r` is never reached: `g` before it matches everything"
    ]


def test_an_open_segment_passes_what_only_a_detector_could_settle() -> None:
    text = RULES.replace("10.0.0.0/8]", "10.0.0.0/8], on_failure: open") + BLOCK + ", content: [x]}\n"
    assert any("/segments/a/on_failure" in warning for warning in warnings(text))


def test_what_has_ended_is_told_when_the_time_is_known() -> None:
    text = (
        RULES
        + BLOCK
        + ", until: 2025-03-31}\nexemptions:\n  - {id: e, user: kim, service: deepseek, until: 2025-03-31}\n"
    )

    def at(day: int) -> list[str]:
        around = Surroundings(SERVICES, CATEGORIES, at=datetime(2025, 4, day, tzinfo=UTC))
        return [w.message for w in parse_config_within(text, file="c.yaml", around=around).warnings]

    assert at(1) == [
        "rule `r` has ended: it no longer matches anything",
        "exemption `e` has ended: nobody is let through by it",
    ]
    assert parse(text).warnings == ()


@pytest.mark.parametrize("address", ["0.0.0.0", "'::'"])
def test_an_open_resolver_is_warned_of(address: str) -> None:
    listen = f"version: 1\nlisten: {{dns: {{address: {address}}}}}\n"
    guests = listen + "unknown_clients: guests\nsegments: {guests: {}}\n"
    (warning,) = warnings(guests)
    assert warning.startswith("c.yaml:3: /unknown_clients: `unknown_clients: guests` answers whoever reaches this host")
    (warning,) = warnings(listen + "segments: {all: {networks: ['::/0']}}\n")
    assert warning.startswith("c.yaml:3: /segments/all/networks/0: `::/0` answers whoever reaches this host")
    assert warnings(listen + "segments: {some: {networks: [10.0.0.0/8]}}\n") == []
    assert warnings(guests.replace(address, "192.0.2.1")) == []
