"""When a subscription is asked for, and how the next attempt moves away after failures."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry

from sumun.config.settings import ListSource
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.record import Record
from sumun.loading.refresh import Refresher, wait_after
from sumun.telemetry.metrics import Metrics
from tests.support.builders import NOON

URL = "https://lists.example/l.txt"
SOURCE = ListSource("far", "domains", url=URL, refresh=timedelta(hours=6))
TAKEN = Record(url=URL, sha256="0" * 64, confirmed_at=NOON, attempted_at=NOON, outcome="updated")


class World:
    """A refresher with a clock to turn and servers that answer as they are told."""

    def __init__(self, *sources: ListSource, record: Record = TAKEN) -> None:
        self.now, self.outcome = NOON, Outcome.UNCHANGED
        self.sources, self.records, self.asked = list(sources), {source.id: record for source in sources}, 0
        self.registry = CollectorRegistry()
        self.refresher = Refresher(
            lists=lambda: self.sources,
            record=lambda id_: self.records[id_],
            update=self.update,
            metrics=Metrics(self.registry),
            clock=lambda: self.now,
        )

    async def update(self, source: ListSource) -> Record:
        self.asked += 1
        have = replace(self.records[source.id], url=source.url)
        good = self.outcome.good
        self.records[source.id] = have.taken(self.now) if good else have.failed(NotTaken(self.outcome, "why"), self.now)
        return self.records[source.id]

    def asked_after(self, **time: float) -> int:
        """How often servers were asked, looking once after so much more time."""
        self.now += timedelta(**time)
        before = self.asked
        asyncio.run(self.refresher.once())
        return self.asked - before


def test_a_list_is_asked_for_when_its_time_is_up_and_not_before() -> None:
    world = World(SOURCE)
    assert [world.asked_after(hours=5), world.asked_after(hours=1), world.asked_after(hours=4.7)] == [0, 1, 0]
    assert world.asked_after(hours=1.3) == 1


@pytest.mark.parametrize(
    "record",
    [Record(), replace(TAKEN, url="https://elsewhere.example/"), replace(TAKEN, sha256="")],
    ids=["never", "another address", "copy lost"],
)
def test_what_is_not_at_hand_is_asked_for_at_once(record: Record) -> None:
    assert World(SOURCE, record=record).asked_after(seconds=0) == 1


def test_local_lists_are_asked_of_nobody() -> None:
    assert World(ListSource("near", "domains"), record=Record()).asked_after(days=9) == 0


def test_failures_move_the_next_attempt_away_but_never_beyond_the_refresh_time() -> None:
    waits = [wait_after(replace(TAKEN, failures=n), SOURCE) for n in (0, 1, 2, 3, 8, 9, 10_000)]
    assert [wait / timedelta(minutes=1) for wait in waits] == [360, 1, 2, 4, 128, 256, 360]


def test_a_server_that_is_down_is_counted_and_heals_by_itself() -> None:
    world = World(SOURCE, record=Record())
    world.outcome = Outcome.UNREACHABLE
    assert [world.asked_after(seconds=s) for s in (0, 10, 60, 60, 120)] == [1, 0, 1, 0, 1]
    world.outcome = Outcome.UNCHANGED
    assert world.asked_after(minutes=5) == 1
    assert world.records["far"].failures == 0
    count = world.registry.get_sample_value
    assert count("sumun_list_updates_total", {"list": "far", "outcome": "unreachable"}) == 3
    assert count("sumun_list_updates_total", {"list": "far", "outcome": "unchanged"}) == 1


def test_it_runs_until_it_is_cancelled_and_sees_lists_that_are_added() -> None:
    world = World()

    async def pause(seconds: float) -> None:
        if world.sources:
            raise asyncio.CancelledError
        world.sources.append(SOURCE)
        world.records["far"] = Record()

    world.refresher = Refresher(
        lists=lambda: world.sources, record=lambda id_: world.records[id_], update=world.update,
        metrics=Metrics(CollectorRegistry()), clock=lambda: datetime.max.replace(tzinfo=NOON.tzinfo), pause=pause,
    )  # fmt: skip
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(world.refresher.run())
    assert world.asked == 1
