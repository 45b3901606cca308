"""Answers that are made ready for a policy before it is in force."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from ipaddress import ip_address

import pytest

from sumun.model.name import IPAddress
from sumun.policy.engine import Policy
from sumun.sinkhole import handler as module
from sumun.sinkhole.outcome import Answer
from sumun.sinkhole.responder import Responder
from tests.support.builders import DEEPSEEK, policy, rule, segment
from tests.unit.sinkhole.asking import PAGES, addresses, ask, query
from tests.unit.sinkhole.test_recall import OPEN, SHUT, Bench, run

CLIENT = ip_address("10.0.0.1")
NAMES = [f"n{number}.deepseek.com" for number in range(30)]


def ready(it: Bench, name: str, client: IPAddress = CLIENT, **more: object) -> Answer | None:
    return it.handler._responder.ready(query(name, **more), client, "udp", at=it.now)


@pytest.mark.parametrize("name", ["chat.deepseek.com", "alias.example.test"])
def test_what_was_answered_from_the_cache_is_blocked_at_once(name: str) -> None:
    async def scenario(it: Bench) -> None:
        for _ in range(3):
            assert "192.0.2.66" in addresses(await it.dig(name))
        await it.handler.prepare(SHUT)
        assert "192.0.2.66" in addresses(await it.dig(name)), "the control: it is not in force yet"
        await it.handler.prepare(SHUT)
        it.policy = SHUT
        assert addresses(await it.dig(name)) == ["192.0.2.1"]

    run(scenario)


def test_another_policy_finds_its_own_answers_ready() -> None:
    async def scenario(it: Bench) -> None:
        for name in NAMES:
            await it.dig(name)
        await it.dig("www.example.test")
        await it.dig("www.example.test")
        again = policy(
            segment("office", "10.0.0.0/8", rules=[rule("another", "block", services=["deepseek"])]),
            services=[DEEPSEEK], revision="again",
        )  # fmt: skip
        await it.handler.prepare(again)
        it.policy = again
        fresh = Responder(policy=lambda: again, pages=PAGES)
        for name in NAMES:
            prepared, made = ready(it, name), ask(fresh, query(name))
            assert prepared
            assert isinstance(made, Answer)
            assert (prepared.body, prepared.tried()) == (made.body, made.tried())
        assert ready(it, "www.example.test"), "what an upstream said is ready too"
        assert it.asked == 1

    run(scenario, SHUT)


def test_what_is_over_is_not_made_ready() -> None:
    async def scenario(it: Bench) -> None:
        await it.dig("www.example.test")
        await it.dig("www.example.test")
        it.now += timedelta(seconds=101)
        assert [*it.handler._responder.asked(9, it.now)] == []
        await it.handler.prepare(SHUT)
        assert it.asked == 1

    run(scenario)


def test_the_newest_questions_of_each_scope_are_prepared_and_nothing_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_PREPARED", 2)

    async def scenario(it: Bench) -> None:
        for name in NAMES:
            await it.dig(name)
        before, events = it.sources(), len(it.events.seen)
        await it.handler.prepare(SHUT)
        it.policy = SHUT
        assert [name for name in NAMES if ready(it, name)] == NAMES[-2:]
        assert (it.sources(), len(it.events.seen)) == (before, events)

    run(scenario, other())


def other() -> Policy:
    """As strict as ``SHUT``, but another."""
    return policy(
        segment("office", "10.0.0.0/8", rules=[rule("no-deepseek", "block", services=["deepseek"])]),
        services=[DEEPSEEK], revision="other",
    )  # fmt: skip


def test_queries_are_answered_while_it_gets_ready() -> None:
    async def scenario(it: Bench) -> None:
        for name in NAMES:
            await it.dig(name)
        preparing = asyncio.create_task(it.handler.prepare(OPEN))
        await asyncio.sleep(0)
        assert not preparing.done(), "there are breaths in between"
        assert addresses(await it.dig("fresh.deepseek.com")) == ["192.0.2.1"]
        await preparing

    run(scenario, SHUT)


class Broken:
    """A policy that raises, as no policy should."""

    def __init__(self) -> None:
        self.rules: dict[str, object] = {}

    def segment_of(self, client: IPAddress) -> object:
        raise RuntimeError("broken")


def test_a_policy_that_raises_is_left_to_the_queries(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(it: Bench) -> None:
        await it.dig(NAMES[0])
        await it.handler.prepare(Broken())  # type: ignore[arg-type]  # as above
        assert [record.getMessage().partition(";")[0] for record in caplog.records] == ["preparing answers failed"]
        assert addresses(await it.dig(NAMES[0])) == ["192.0.2.1"]

    run(scenario, SHUT)


def test_getting_ready_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PREPARING", 0.0)

    async def scenario(it: Bench) -> None:
        for name in NAMES:
            await it.dig(name)
        again = other()
        await it.handler.prepare(again)
        it.policy = again
        assert 0 < sum(ready(it, name) is not None for name in NAMES) < len(NAMES)
        assert addresses(await it.dig(NAMES[0])) == ["192.0.2.1"]

    run(scenario, SHUT)
