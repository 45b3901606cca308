from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

import pytest

from sumun.console.probes import ProbeFailed
from sumun.console.readiness import Check, Readiness
from sumun.console.view import ListView, LoadedView
from tests.support.builders import NOON

VIEW = LoadedView("5f1d0c2ab9e4", [])


def clock() -> datetime:
    return NOON


async def _hangs() -> None:
    await asyncio.Event().wait()


async def _fails() -> None:
    raise ProbeFailed("no answer")


async def _breaks() -> None:
    raise ValueError("a fault of the check's own")


def test_each_check_fails_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    readiness = Readiness(lambda: VIEW, {"slow": _hangs, "down": _fails, "broken": _breaks}, clock=clock, patience=0.01)
    with caplog.at_level(logging.ERROR):
        assert asyncio.run(readiness.checks()) == {
            "policy": Check(ok=True),
            "slow": Check(ok=False, detail="no answer within 0.01 s"),
            "down": Check(ok=False, detail="no answer"),
            "broken": Check(ok=False, detail="the check failed: see the log of the console"),
        }
    assert "a fault of the check's own" in caplog.text


def test_without_a_policy_nothing_is_ready() -> None:
    readiness = Readiness(lambda: LoadedView("", []), {}, clock=clock)
    assert asyncio.run(readiness.checks()) == {"policy": Check(ok=False, detail="no policy is loaded")}


def test_requests_that_come_together_share_one_probe_and_later_ones_ask_anew() -> None:
    asked = 0

    async def scenario() -> None:
        nonlocal asked
        go = asyncio.Event()

        async def probe() -> None:
            nonlocal asked
            asked += 1
            await go.wait()

        readiness = Readiness(lambda: VIEW, {"dns": probe}, clock=clock)
        together = [asyncio.create_task(readiness.checks()) for _ in range(10)]
        await asyncio.sleep(0)
        together[0].cancel()  # one client going away must not fail the others
        go.set()
        results = await asyncio.gather(*together, return_exceptions=True)
        assert [isinstance(result, dict) for result in results] == [False] + [True] * 9
        await readiness.checks()

    asyncio.run(scenario())
    assert asked == 2


def test_the_age_of_subscriptions_is_told_and_is_no_reason_not_to_be_ready() -> None:
    lists = {
        "own": ListView(5, 0, NOON),
        "week": ListView(9, 0, NOON - timedelta(days=7), "the server answered 500", subscribed=True),
        "fresh": ListView(9, 0, NOON - timedelta(hours=3), subscribed=True),
        "never": ListView(0, 0, None, "no route", subscribed=True),
    }
    readiness = Readiness(lambda: LoadedView("5f1d0c2ab9e4", [], lists=lists), {}, clock=clock)
    assert asyncio.run(readiness.checks())["lists"] == Check(
        ok=True,
        detail="`week` is as published 7 days ago, then: the server answered 500; "
        "`fresh` is as published 3 hours ago; `never` was never fetched: no route",
    )
