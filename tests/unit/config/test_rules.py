"""What one rule may not say."""

from __future__ import annotations

import pytest

from tests.unit.config.test_parse import faults, parse

RULE = "version: 1\nsegments: {a: {}}\nrules:\n  - id: r\n    action: %s\n    %s\n"


@pytest.mark.parametrize(
    ("action", "line", "message"),
    [
        ("block", "services: [deepsek]", "services/0: unknown service `deepsek`; did you mean `deepseek`?"),
        (
            "block", "services: ['*']",
            'services/0: `*`: a service is named by its id; for every service write '
            '`categories: ["*"]`',
        ),
        ("block", "services: [llm-api]", "services/0: `llm-api` is a category: write `categories: [llm-api]`"),
        ("block", "categories: [chat]", "categories/0: unknown category `chat`"),
        ("block", "lists: [x]", "lists/0: unknown list `x`: it has to stand under `lists`"),
        ("block", "hours: {zone: Asia/Seoul}", "hours: `hours` needs `days`, `times` or both"),
        ("block", "until: 9999-12-31", "until: `9999-12-31` is too far away: leave the key out"),
        (
            "block", "services: [deepseek]\n    tenant: {X-A: b}",
            "tenant: `tenant` goes with `allow` or `monitor`: nothing of a request under `block` is sent on",
        ),
        (
            "allow", "tenant: {X-A: b}",
            "tenant: `tenant` without a destination would open every connection: name `services` or "
            "`domains`",
        ),
    ],
)  # fmt: skip
def test_what_is_said(action: str, line: str, message: str) -> None:
    assert faults(RULE % (action, line))[0].partition("/rules/0/")[2] == message


def test_a_rule_that_ends_before_it_begins_is_refused() -> None:
    assert faults(RULE % ("block", "from: 2025-03-01\n    until: 2025-02-28")) == [
        "c.yaml:7: /rules/0/until: `until: 2025-02-28` is not after `from: 2025-03-01`: the rule would never hold"
    ]


def test_one_day_is_an_interval() -> None:
    assert parse(RULE % ("block", "from: 2025-03-01\n    until: 2025-03-01")).rules[0].schedule.until


def test_a_list_that_is_faulty_itself_is_known_to_rules() -> None:
    text = RULE % ("block", "lists: [x]") + "lists: [{id: x, path: a, refrsh: 1h}]\n"
    assert faults(text) == ["c.yaml:7: /lists/0/refrsh: unknown key `refrsh`; did you mean `refresh`?"]
