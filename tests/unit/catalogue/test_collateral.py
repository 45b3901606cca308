"""A block of all generative AI stops what the reviewed list calls generative AI, and nothing else that is popular."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

from sumun.model.decision import Decision
from sumun.model.name import DomainName
from sumun.model.rule import Action
from tests.support.builders import NOON, policy, request, rule, segment
from tests.unit.catalogue.corpus import DATA, LISTS, names, services

UNDETERMINED = {"bing.com", "m365.cloud.microsoft", "notion.so", "www.bing.com", "www.google.com", "x.com"}
"""Popular hosts whose AI part a path tells apart."""


def popular_hosts() -> list[str]:
    return gzip.decompress((DATA / "popular_hosts.txt.gz").read_bytes()).decode().split()


def stopped_of(hosts: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    """Hosts that a block of all generative AI stops, each with its service, and those that a path decides."""
    everything = policy(
        segment("closed", "0.0.0.0/0", rules=[rule("no-ai", "block", categories=["*"])]), services=services()
    )
    stopped, undetermined = {}, set()
    for host in hosts:
        outcome = everything.decide(request("192.0.2.1", host), at=NOON)
        if not isinstance(outcome, Decision):
            undetermined.add(host)
        elif outcome.action is Action.BLOCK:
            assert outcome.service
            stopped[host] = outcome.service.id
    return stopped, undetermined


def test_block_of_everything_stops_reviewed_hosts_only() -> None:
    popular = popular_hosts()
    assert len(popular) == 19_997
    assert stopped_of(popular) == (reviewed(), UNDETERMINED)


def test_what_stands_above_a_popular_host_is_stopped_only_with_it() -> None:
    """Another list of popular hosts may well hold the domain itself, or its www."""
    popular = popular_hosts()
    above = {parent for host in popular for parent in list(DomainName(host).suffixes())[1:] if "." in parent}
    asked = {*above, *(f"www.{parent}" for parent in above)} - set(popular)
    assert len(asked) > 3_000
    stopped, undetermined = stopped_of(asked)
    assert {host for host in stopped if not any(host.endswith(domain) for domain in _ai_domains())} == set()
    assert undetermined == set()


def _ai_domains() -> set[str]:
    """The last two labels of every reviewed host."""
    return {".".join(host.split(".")[-2:]) for host in reviewed()}


def test_what_nobody_can_do_without_stays_open() -> None:
    lines = (DATA / "must_stay_open.txt").read_text(encoding="utf-8").splitlines()
    hosts = [host for line in lines if not line.startswith("#") for host in line.split()]
    needed = {name.text for name in names(LISTS / "never-block.txt")}
    assert len(hosts) == len(set(hosts)) > 250
    stopped, undetermined = stopped_of({*hosts, *needed, *(f"www.{name}" for name in needed)})
    assert stopped == {}
    assert undetermined <= UNDETERMINED | {
        "www.notion.so", "www.x.com", "kagi.com", "stranger.cognitiveservices.azure.com",
        "cognitiveservices.azure.com", "stranger.snowflakecomputing.com", "www.cognitiveservices.azure.com",
    }  # fmt: skip


def reviewed() -> dict[str, str]:
    lines = (DATA / "popular_ai_hosts.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t") for line in lines if not line.startswith("#")]
    assert len(pairs) > 50
    return dict(pairs)
