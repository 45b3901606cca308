from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from ipaddress import ip_address

import pytest

from sumun.proxy.caller import Attend, Caller
from sumun.proxy.opening import LIMIT, Unreadable
from sumun.proxy.watch import Watch

HERE = ip_address("127.0.0.1")


class Visit:
    """A caller, the program at the other end, and what its course has noted."""

    def __init__(self, watch: Watch, open_: ExitStack) -> None:
        self.client, inside = socket.socketpair()
        for each in (self.client, inside):
            open_.enter_context(each).setblocking(False)
        self.caller = Caller(watch, inside, HERE, HERE)
        self.noted: list[object] = []
        self.over: list[Caller] = []

    def begin(self, attend: Attend) -> None:
        self.caller.begin(attend, self.over.append)

    async def gone(self) -> None:
        async with asyncio.timeout(60):
            await self.caller.gone()


def run(test: Callable[[Visit], Awaitable[None]]) -> None:
    async def main() -> None:
        watch = Watch()
        with ExitStack() as open_:
            await test(Visit(watch, open_))
        watch.close()

    asyncio.run(main())


def line(data: bytes) -> bytes | None:
    return data if data.endswith(b"\n") else None


def reading(visit: Visit) -> Attend:
    """A course that notes a line, or why there is none."""

    async def attend(caller: Caller) -> None:
        try:
            visit.noted.append(await caller.read(line, within=10))
        except (TimeoutError, Unreadable) as error:
            visit.noted.append(type(error))
        except asyncio.CancelledError:
            visit.noted.append("cancelled")
            raise

    return attend


@pytest.mark.parametrize("early", [True, False], ids=["before it was accepted", "later and in pieces"])
def test_what_a_client_says_is_read(early: bool) -> None:
    async def test(visit: Visit) -> None:
        if early:
            visit.client.send(b"hello\n")
        visit.begin(reading(visit))
        for octet in b"" if early else b"hello\n":
            visit.client.send(bytes([octet]))
            await asyncio.sleep(0)
        await visit.gone()
        assert (visit.noted, visit.over) == ([b"hello\n"], [visit.caller])

    run(test)


def test_the_last_word_is_heard_though_it_came_with_others() -> None:
    async def test(visit: Visit) -> None:
        visit.begin(reading(visit))
        visit.client.send(b"no end")
        visit.client.shutdown(socket.SHUT_WR)
        await visit.gone()
        assert visit.noted == [Unreadable]

    run(test)


def test_a_client_that_does_not_come_to_the_point_is_not_read_on() -> None:
    async def test(visit: Visit) -> None:
        visit.begin(reading(visit))
        visit.client.send(b"." * LIMIT)
        await visit.gone()
        assert visit.noted == [Unreadable]

    run(test)


def test_waiting_ends_when_its_time_is_over() -> None:
    async def test(visit: Visit) -> None:
        visit.begin(reading(visit))
        visit.caller.expire(0.0)
        assert not visit.caller.over
        visit.caller.expire(math.inf)
        assert (visit.noted, visit.caller.over) == ([TimeoutError], True)
        visit.caller.expire(math.inf)  # nothing waits any more

    run(test)


def test_a_course_may_wait_for_a_task_and_goes_on_with_what_came_of_it() -> None:
    async def test(visit: Visit) -> None:
        async def failing() -> None:
            await asyncio.sleep(0)
            raise LookupError

        async def attend(_: Caller) -> None:
            visit.noted.append(await asyncio.create_task(asyncio.sleep(0, "found")))
            try:
                await asyncio.create_task(failing())
            except LookupError:
                visit.noted.append("and lost")

        visit.begin(attend)
        visit.client.send(b"said meanwhile")
        await visit.gone()
        assert visit.noted == ["found", "and lost"]

    run(test)


def test_an_end_from_outside_reaches_a_course_that_reads() -> None:
    async def test(visit: Visit) -> None:
        visit.begin(reading(visit))
        visit.caller.abort()
        assert (visit.noted, visit.over) == (["cancelled"], [visit.caller])
        visit.caller.abort()  # once is enough

    run(test)


def test_an_end_from_outside_reaches_a_task_that_a_course_waits_for() -> None:
    async def test(visit: Visit) -> None:
        async def attend(_: Caller) -> None:
            try:
                await asyncio.create_task(asyncio.Event().wait())
            finally:
                visit.noted.append("ended")

        visit.begin(attend)
        visit.caller.abort()
        await visit.gone()
        assert visit.noted == ["ended"]

    run(test)
