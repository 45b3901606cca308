from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
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


LONG = bytes(range(256)) * 40_000
"""More than any buffer of the kernel takes."""


def delivering(visit: Visit) -> Attend:
    """A course that answers at length, and then reads a line."""

    async def attend(caller: Caller) -> None:
        visit.noted.append(await caller.deliver(LONG, within=10))
        with suppress(Unreadable):
            visit.noted.append(await caller.read(line, within=10))

    return attend


async def received(client: socket.socket, size: int) -> bytes:
    loop, found = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(30):
        while len(found) < size:
            found += await loop.sock_recv(client, 65536)
    return bytes(found)


@pytest.mark.parametrize("watched", [False, True])
def test_a_client_takes_a_long_answer_at_its_own_pace_and_is_heard_after(watched: bool) -> None:
    async def test(visit: Visit) -> None:
        heard = asyncio.Event()

        async def attend(caller: Caller) -> None:
            if watched:
                caller.forget(len(await caller.read(line, within=10)))
                heard.set()
            await delivering(visit)(caller)

        visit.begin(attend)
        if watched:
            visit.client.send(b"go\n")
            await heard.wait()
        visit.client.send(b"meanwhile\n")
        visit.client.shutdown(socket.SHUT_WR)
        assert await received(visit.client, len(LONG)) == LONG
        await visit.gone()
        assert visit.noted == [True, b"meanwhile\n"]

    run(test)


def test_the_end_of_a_client_is_heard_though_it_came_while_it_was_answered() -> None:
    async def test(visit: Visit) -> None:
        visit.begin(delivering(visit))
        visit.client.send(b"half a line")
        visit.client.shutdown(socket.SHUT_WR)
        assert await received(visit.client, len(LONG)) == LONG
        await visit.gone()
        assert (visit.noted, visit.caller.ended) == ([True], True)

    run(test)


def test_a_client_that_goes_is_not_answered_for_ever() -> None:
    async def test(visit: Visit) -> None:
        visit.begin(delivering(visit))
        visit.client.close()
        await visit.gone()
        assert visit.noted == [False]

    run(test)


def test_a_client_that_takes_nothing_is_not_answered_for_ever() -> None:
    async def test(visit: Visit) -> None:
        visit.begin(delivering(visit))
        visit.caller.expire(0.0)
        assert not visit.noted
        visit.caller.expire(math.inf)
        assert visit.noted == [False]
        visit.caller.abort()

    run(test)


def test_others_have_their_turn_first() -> None:
    async def test(visit: Visit) -> None:
        async def attend(caller: Caller) -> None:
            await caller.give_way()
            visit.noted.append("course")

        asyncio.get_running_loop().call_soon(visit.noted.append, "other")
        visit.begin(attend)
        await visit.gone()
        assert visit.noted == ["other", "course"]

    async def ended(visit: Visit) -> None:
        visit.begin(lambda caller: caller.give_way())
        visit.caller.abort()
        await visit.gone()

    run(test)
    run(ended)
