"""What covers a guarded name is told apart from what only lies near it."""

from __future__ import annotations

import pytest

from sumun.catalogue.guard import NOBODY, Guard
from sumun.catalogue.lists import Refused, parse_list
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern

GUARD = Guard([DomainName("login.cloud.example"), DomainName("eu-cdn.example.net")])


@pytest.mark.parametrize(
    ("pattern", "victim"),
    [
        (Pattern("login.cloud.example"), "login.cloud.example"),
        (Pattern("login.cloud.example", Match.EXACT), "login.cloud.example"),
        (Pattern("cloud.example"), "login.cloud.example"),
        (Pattern("cloud.example", Match.EXACT), None),
        (Pattern("ai.login.cloud.example"), None),
        (Pattern("xcloud.example"), None),
        (Pattern("*-cdn.example.net", Match.GLOB), "eu-cdn.example.net"),
        (Pattern("*-api.example.net", Match.GLOB), None),
    ],
    ids=str,
)
def test_names_what_a_pattern_would_take_down(pattern: Pattern, victim: str | None) -> None:
    assert GUARD.taken_down_by(pattern) == victim
    assert NOBODY.taken_down_by(pattern) is None


def test_a_line_with_a_guarded_name_loses_that_name_alone() -> None:
    items = list(parse_list("0.0.0.0 login.cloud.example ads.example\n", "hosts", GUARD))
    assert [type(item) for item in items] == [Refused, Entry]
    assert isinstance(items[0], Refused)
    assert items[0].why == (
        "`login.cloud.example` would take down `login.cloud.example`, which others need: "
        "to block it all the same, name it under `domains` in a rule"
    )
