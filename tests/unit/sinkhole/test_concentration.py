"""One address that asks for a whole segment is noticed, and no other."""

from __future__ import annotations

import random

import pytest

from sumun.model.segment import UNKNOWN_SEGMENT
from sumun.sinkhole.concentration import ENOUGH, WINDOW, Concentration, Verdict

FORWARDER = b"\x0a\0\0\x35"


def verdicts(it: Concentration, clients: list[bytes], start: float = 0.0, segment: str = "hq") -> list[Verdict]:
    """What is said while these ask, spread over an hour and one query beyond."""
    step = WINDOW / len(clients)
    found = [it.note(segment, client, 1, start + n * step) for n, client in enumerate(clients)]
    found.append(it.note(segment, clients[0], 1, start + WINDOW))
    return [verdict for verdict in found if verdict]


def mixed(share: float, count: int) -> list[bytes]:
    chance = random.Random(7)
    clients = [FORWARDER] * round(count * share)
    clients += [bytes((10, 0, 1, chance.randrange(256))) for _ in range(count - len(clients))]
    chance.shuffle(clients)
    return clients


@pytest.mark.parametrize(("share", "hides"), [(1.0, True), (0.97, True), (0.9, False), (0.5, False), (0.1, False)])
def test_almost_all_is_a_forwarder_and_less_is_not(share: float, hides: bool) -> None:
    found = verdicts(Concentration(), mixed(share, 20_000))
    assert [verdict.hides for verdict in found] == [hides, hides]  # early on, and after the hour
    assert [verdict.first for verdict in found] == [True, False]
    if hides:
        assert {verdict.client for verdict in found} == {FORWARDER}
        assert found[-1].share == pytest.approx(share, abs=0.01)


def test_a_few_queries_say_nothing() -> None:
    found = verdicts(Concentration(), [FORWARDER] * (ENOUGH - 1))
    assert [(verdict.share, verdict.hides) for verdict in found] == [(0.0, False)]


def test_an_hour_later_it_begins_anew() -> None:
    it = Concentration()
    assert verdicts(it, [FORWARDER] * 5000)[-1].hides
    assert not verdicts(it, mixed(0.2, 5000), WINDOW)[-1].hides


def test_segments_are_told_apart_and_strangers_left_out() -> None:
    it = Concentration()
    assert verdicts(it, [FORWARDER] * 2000)[-1].hides
    assert not verdicts(it, mixed(0.3, 2000), segment="other")[-1].hides
    assert not verdicts(it, [FORWARDER] * 2000, segment=UNKNOWN_SEGMENT)


def test_a_clock_that_goes_back_begins_anew() -> None:
    it = Concentration()
    for n in range(2000):
        it.note("hq", FORWARDER, 1, 1000.0 + n / 100)
    verdict = it.note("hq", FORWARDER, 1, 5.0)
    assert verdict
    assert verdict.total == 2000
