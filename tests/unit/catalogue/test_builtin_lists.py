"""The lists that come with Sumun are taken whole, and spare what others need."""

from __future__ import annotations

import pytest

from sumun.catalogue.lists import parse_list
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.model.service import Pattern
from sumun.policy.domain_index import DomainIndex
from tests.unit.catalogue.corpus import LISTS, by_id, names

BLOCKING = {"deepseek-lookalikes": 42, "dns-bypass": 1_400, "tunnels": 80}


def index(name: str) -> DomainIndex[None]:
    return DomainIndex((pattern, None) for pattern in patterns(name))


def patterns(name: str) -> list[Pattern]:
    items = list(parse_list((LISTS / f"{name}.txt").read_text(encoding="utf-8"), "domains"))
    entries = [item.pattern for item in items if isinstance(item, Entry)]
    assert len(entries) == len(items), [item for item in items if not isinstance(item, Entry)]
    return entries


@pytest.mark.parametrize(("name", "least"), BLOCKING.items())
def test_every_line_is_taken_once(name: str, least: int) -> None:
    entries = patterns(name)
    assert len(entries) == len(set(entries)) >= least


@pytest.mark.parametrize("name", [*BLOCKING, "never-block"])
def test_says_where_it_comes_from_and_when(name: str) -> None:
    header = (LISTS / f"{name}.txt").read_text(encoding="utf-8").partition("\n\n")[0]
    assert "Source" in header
    assert "Read 2026-11-22" in header


@pytest.mark.parametrize("name", BLOCKING)
def test_blocks_nothing_that_others_need(name: str) -> None:
    listed = index(name)
    assert [n.text for n in names(LISTS / "never-block.txt") if listed.covers(n)] == []


def test_imitations_are_not_deepseek() -> None:
    listed = index("deepseek-lookalikes")
    own = [DomainName(d.pattern.text) for d in by_id()["deepseek"].domains]
    assert [name.text for name in own if listed.covers(name)] == []


def test_well_known_ways_past_the_sinkhole_are_listed() -> None:
    listed = index("dns-bypass")
    known = ["dns.google", "cloudflare-dns.com", "mask.icloud.com", "use-application-dns.net", "doh.opendns.com"]
    assert [name for name in known if not listed.covers(DomainName.parse(name))] == []
