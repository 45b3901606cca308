"""A block of all generative AI stops what the reviewed list calls generative AI, and nothing else that is popular."""

from __future__ import annotations

import gzip

from sumun.model.decision import Decision
from sumun.model.rule import Action
from tests.support.builders import NOON, policy, request, rule, segment
from tests.unit.catalogue.corpus import DATA, services

UNDETERMINED = {"bing.com", "m365.cloud.microsoft", "notion.so", "www.bing.com", "www.google.com", "x.com"}
"""Popular hosts whose AI part a path tells apart."""


def test_block_of_everything_stops_reviewed_hosts_only() -> None:
    everything = policy(
        segment("closed", "0.0.0.0/0", rules=[rule("no-ai", "block", categories=["*"])]), services=services()
    )
    popular = gzip.decompress((DATA / "popular_hosts.txt.gz").read_bytes()).decode().split()
    assert len(popular) == 19_997
    stopped, undetermined = {}, set()
    for host in popular:
        outcome = everything.decide(request("192.0.2.1", host), at=NOON)
        if not isinstance(outcome, Decision):
            undetermined.add(host)
        elif outcome.action is Action.BLOCK:
            assert outcome.service
            stopped[host] = outcome.service.id
    assert stopped == reviewed()
    assert undetermined == UNDETERMINED


def reviewed() -> dict[str, str]:
    lines = (DATA / "popular_ai_hosts.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t") for line in lines if not line.startswith("#")]
    assert len(pairs) > 50
    return dict(pairs)
