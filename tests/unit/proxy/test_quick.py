"""What the gate answers by itself, and what it leaves to mitmproxy without a trace."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from ipaddress import ip_address, ip_network
from pathlib import Path
from time import monotonic
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from sumun.model.organisation import Organisation
from sumun.model.verdict import Verdict
from sumun.pages.render import render
from sumun.policy.engine import Policy
from sumun.proxy.caller import IDLE, Caller
from sumun.proxy.forms import Book
from sumun.proxy.opening import LIMIT
from sumun.proxy.parts import Parts
from sumun.proxy.quick import Answer, Quick
from sumun.proxy.watch import Watch
from sumun.store.store import Store
from sumun.store.watch import Watch as Grants
from sumun.telemetry.metrics import Metrics
from tests.support.builders import NOON, policy, segment
from tests.support.heads import BLOCK, HOST, MODELS, STRANGER, WARN, head, others, stopped, stopping
from tests.support.proxies import FakeResolver, loopback_settings
from tests.support.recording import RecordingEvents

PAGE = b"HTTP/1.1 403 Forbidden\r\n"


class Desk:
    """Answers, and shows what was told and counted."""

    def __init__(self, policies: Sequence[Policy] = (stopping(),), book: Book | None = None, **more: Any) -> None:
        """The first of the policies is in force."""
        self.registry, self.events = CollectorRegistry(), RecordingEvents()
        parts = Parts(
            settings=loopback_settings(Path("unused"), **more), policy=lambda: policies[0], organisation=Organisation,
            events=self.events, metrics=Metrics(self.registry), resolver=FakeResolver({}), pages=render,
            ca_folder=Path("unused"), clock=lambda: NOON, book=book,
        )  # fmt: skip
        assert parts.quick
        self.quick: Quick = parts.quick

    def answer(self, said: bytes, client: str = BLOCK) -> Answer | int | None:
        return self.quick.answer(said, ip_address(client))

    def counts(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        samples = (sample for metric in self.registry.collect() for sample in metric.samples)
        return {(s.name, tuple(s.labels.items())): s.value for s in samples if s.value and "_info" not in s.name}


@pytest.mark.parametrize("client", [BLOCK, WARN])
def test_what_its_head_stops_is_answered_and_told_once(client: str) -> None:
    desk, corpus = Desk(), list(stopped())
    assert len(corpus) > 150
    for said in corpus:
        answer = desk.answer(said, client)
        assert isinstance(answer, Answer), said
        assert answer.size == len(said)
        assert answer.octets.startswith((PAGE, b"HTTP/1.1 204 "))
    assert len(desk.events.seen) == len(corpus)
    assert {event.verdict for event in desk.events.seen} <= {Verdict.BLOCK_PAGE, Verdict.WARN_PAGE}


@pytest.mark.parametrize("said", [*others(), head("GET", "/\x00"), b"", b"GET ", head()[:-2]])
def test_whatever_else_there_is_leaves_no_trace(said: bytes, tmp_path: Path) -> None:
    store = Store.at("", tmp_path)
    desk = Desk(book=Book(b"k" * 32, Grants(store, clock=lambda: NOON, tell=lambda _: None), lambda _: None))
    before = desk.counts()
    assert desk.answer(said) is None
    assert desk.counts() == before
    assert not desk.events.seen
    store.close()


@pytest.mark.parametrize("client", [MODELS, STRANGER])
def test_what_is_not_final_or_not_stopped_by_a_page_leaves_no_trace(client: str) -> None:
    desk = Desk()
    before = desk.counts()
    assert not any(isinstance(desk.answer(said, client), Answer) for said in stopped())
    assert desk.counts() == before
    assert not desk.events.seen


def test_a_body_is_waited_for_before_anything_is_told() -> None:
    desk = Desk()
    whole = head("POST", "/", "Content-Length: 5", body=b"12345")
    before = desk.counts()
    assert {desk.answer(whole[: len(whole) - missing]) for missing in range(1, 6)} == {len(whole)}
    assert desk.counts() == before
    answer = desk.answer(whole + head())
    assert isinstance(answer, Answer)
    assert answer.size == len(whole)


def test_a_head_beyond_the_limit_is_left() -> None:
    limits = loopback_settings(Path("unused")).proxy_limits
    long = head("GET", "/" + "a" * limits.head)
    assert Desk().answer(long) is None
    assert isinstance(Desk().answer(head("GET", "/" + "a" * 8000)), Answer)


def test_whom_a_listed_parent_names_is_the_client() -> None:
    desk = Desk(trusted_parents=(ip_network("127.0.0.200/32"),))
    named = head("GET", "/", f"X-Forwarded-For: {WARN}")
    assert isinstance(desk.answer(named, "127.0.0.200"), Answer)
    assert isinstance(desk.answer(named, BLOCK), Answer)
    assert [event.verdict for event in desk.events.seen] == [Verdict.WARN_PAGE, Verdict.BLOCK_PAGE]
    assert [str(event.request.client) for event in desk.events.seen] == [WARN, BLOCK]


def test_a_policy_that_fails_is_left_to_the_hooks() -> None:
    class Broken:
        revision = "broken"

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("broken")

    desk = Desk([cast("Policy", Broken())])
    before = desk.counts()
    assert desk.answer(head()) is None
    assert desk.counts() == before


FUZZED = Desk()


@given(st.integers(0, len(head("POST", "/a", "Content-Length: 4", body=b"abcd")) - 1), st.binary(max_size=6))
@settings(max_examples=300, deadline=None)
def test_no_octets_make_it_fail(at: int, spoilt: bytes) -> None:
    whole = head("POST", "/a", "Content-Length: 4", body=b"abcd")
    said = whole[:at] + spoilt + whole[at + 1 :]
    answer = FUZZED.answer(said)
    assert not isinstance(answer, Answer) or (answer.octets.startswith(PAGE) and HOST.encode() in said.lower())


class Call:
    """A client on a pair of sockets, attended to."""

    def __init__(self, desk: Desk, open_: ExitStack) -> None:
        self.watch = Watch()
        open_.callback(self.watch.close)
        self.client, inside = socket.socketpair()
        for each in (self.client, inside):
            open_.enter_context(each).setblocking(False)
        self.caller = Caller(self.watch, inside, ip_address(BLOCK), ip_address("127.0.0.1"))
        self.ended: list[bool] = []

        async def attend(caller: Caller) -> None:
            self.ended.append(await desk.quick.attend(caller, is_proxy=True))

        self.client.send(head("GET", "/", "Accept: application/json"))
        self.caller.begin(attend, lambda _: None)

    async def answered(self) -> bytes:
        async with asyncio.timeout(30):
            found = await asyncio.get_running_loop().sock_recv(self.client, 65536)
        assert found.startswith(PAGE)
        return found


def calling(test: Callable[[Call, Desk], Awaitable[None]], desk: Desk | None = None) -> None:
    made = desk or Desk()

    async def main() -> None:
        with ExitStack() as open_:
            await test(Call(made, open_), made)

    asyncio.run(main())


def test_a_connection_is_kept_and_idle_until_the_next_request_and_no_longer_than_others() -> None:
    async def test(call: Call, _: Desk) -> None:
        await call.answered()
        assert call.caller.is_idle
        assert call.caller.is_idle()
        call.client.send(head())
        await call.answered()
        call.caller.expire(monotonic() + 0.9 * IDLE)
        assert not call.caller.over
        call.caller.expire(monotonic() + 1.1 * IDLE)
        assert (call.caller.over, call.ended) == (True, [True])
        assert call.client.recv(1) == b""

    calling(test)


@pytest.mark.parametrize(
    "rest",
    [
        b"GET / HTT",
        head(host="open.test"),
        b"\r\n" + head(),
        b"CONNECT a.test:443 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01",
    ],
)
def test_what_mitmproxy_gets_is_whole(rest: bytes) -> None:
    async def test(call: Call, desk: Desk) -> None:
        await call.answered()
        call.client.send(rest)
        async with asyncio.timeout(30):
            await call.caller.gone()
        assert (call.ended, call.caller.release()[1]) == ([False], rest)
        assert call.caller.is_idle is None
        assert len(desk.events.seen) == 1

    calling(test)


def test_half_a_body_is_waited_for_and_no_longer_than_a_moment() -> None:
    async def test(call: Call, desk: Desk) -> None:
        await call.answered()
        whole = head("POST", "/", "Content-Length: 4", body=b"abcd")
        call.client.send(whole[:-1])
        call.client.send(whole[-1:])
        await call.answered()
        call.client.send(whole[:-1])
        while call.caller.is_idle:  # noqa: ASYNC110 - nobody is told when it has been heard
            await asyncio.sleep(0)
        call.caller.expire(monotonic() + 60)
        assert (call.ended, call.caller.release()[1]) == ([False], whole[:-1])
        assert len(desk.events.seen) == 2

    calling(test)


def test_a_large_body_is_left() -> None:
    async def test(call: Call, _: Desk) -> None:
        await call.answered()
        large = head("POST", "/", f"Content-Length: {LIMIT}")
        call.client.send(large)
        async with asyncio.timeout(30):
            await call.caller.gone()
        assert (call.ended, call.caller.release()[1]) == ([False], large)

    calling(test)


def test_each_request_is_judged_by_the_policy_of_its_time() -> None:
    policies = [stopping(), policy(segment("free", f"{BLOCK}/32"))]
    desk = Desk(policies=policies)

    async def test(call: Call, desk: Desk) -> None:
        await call.answered()
        del policies[0]
        call.client.send(head())
        async with asyncio.timeout(30):
            await call.caller.gone()
        assert (call.ended, len(desk.events.seen)) == ([False], 1)

    calling(test, desk)
