from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from sumun.proxy import relay
from sumun.proxy.relay import Tunnel
from sumun.proxy.watch import Watch

MEGABYTE = bytes(range(256)) * 4096


class Ends:
    """A tunnel and the two programs at its ends."""

    def __init__(self, watch: Watch, open_: ExitStack, said: bytes = b"") -> None:
        self.client, inside = socket.socketpair()
        self.origin, outside = socket.socketpair()
        for each in (self.client, inside, self.origin, outside):
            open_.enter_context(each).setblocking(False)
        self.tunnels: set[Tunnel] = set()
        self.tunnel = Tunnel(watch, inside, outside, self.tunnels.discard)
        self.tunnels.add(self.tunnel)
        self.tunnel.start(said)

    async def send(self, end: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(end, data)

    async def read(self, end: socket.socket, size: int) -> bytes:
        found = b""
        while len(found) < size and (data := await asyncio.get_running_loop().sock_recv(end, size - len(found))):
            found += data
        return found

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds / relay.INTERVAL)):
            self.tunnel.look()


def run(test: Callable[[Ends], Awaitable[None]], said: bytes = b"") -> None:
    async def main() -> None:
        watch = Watch()
        with ExitStack() as open_:
            ends = Ends(watch, open_, said)
            try:
                async with asyncio.timeout(60):
                    await test(ends)
            finally:
                ends.tunnel.close()
                watch.close()

    asyncio.run(main())


def test_what_was_said_before_comes_first() -> None:
    async def test(ends: Ends) -> None:
        await ends.send(ends.client, b" and more")
        assert await ends.read(ends.origin, 14) == b"hello and more"

    run(test, said=b"hello")


def test_both_ways_at_once_and_more_than_the_buffers_hold() -> None:
    async def test(ends: Ends) -> None:
        sides = (ends.client, ends.origin), (ends.origin, ends.client)
        sending = [asyncio.ensure_future(ends.send(here, MEGABYTE)) for here, _ in sides]
        assert await asyncio.gather(*(ends.read(there, len(MEGABYTE)) for _, there in sides)) == [MEGABYTE, MEGABYTE]
        await asyncio.gather(*sending)

    run(test)


def test_a_side_that_does_not_read_holds_the_other_back_and_loses_nothing() -> None:
    async def test(ends: Ends) -> None:
        sending = asyncio.ensure_future(ends.send(ends.origin, MEGABYTE * 4))
        done, _ = await asyncio.wait([sending], timeout=0.3)
        assert not done, "nobody reads, so not all can have gone anywhere"
        assert await ends.read(ends.client, 4 * len(MEGABYTE)) == MEGABYTE * 4
        await sending

    run(test)


def test_a_half_close_goes_through_and_the_answer_comes_back() -> None:
    async def test(ends: Ends) -> None:
        await ends.send(ends.client, b"question")
        ends.client.shutdown(socket.SHUT_WR)
        assert await ends.read(ends.origin, 100) == b"question"
        await ends.send(ends.origin, b"answer" * 1000)
        ends.origin.shutdown(socket.SHUT_WR)
        assert await ends.read(ends.client, 10_000) == b"answer" * 1000
        assert ends.tunnels == set()

    run(test)


def test_a_side_that_is_gone_is_told_to_the_other_after_all_it_said() -> None:
    async def test(ends: Ends) -> None:
        sending = asyncio.ensure_future(ends.send(ends.origin, MEGABYTE))
        await asyncio.sleep(0.1)
        sending.cancel()
        ends.origin.close()
        received = await ends.read(ends.client, 2 * len(MEGABYTE))
        assert 0 < len(received) < len(MEGABYTE)
        assert MEGABYTE.startswith(received)

    run(test)


@pytest.mark.parametrize(
    ("seconds", "stays"),
    [(relay.IDLE - relay.INTERVAL, True), (relay.IDLE + relay.INTERVAL, False)],
    ids=["shorter than the limit", "longer"],
)
def test_an_idle_tunnel_is_closed(seconds: float, stays: bool) -> None:
    async def test(ends: Ends) -> None:
        ends.pass_time(seconds)
        assert bool(ends.tunnels) is stays
        if not stays:
            assert await ends.read(ends.client, 1) == b""

    run(test)


def test_a_busy_tunnel_outlives_the_idle_limit_and_not_the_total_one() -> None:
    async def test(ends: Ends) -> None:
        for _ in range(int(relay.TOTAL / relay.INTERVAL) - 1):
            ends.tunnel._client.active = True
            ends.tunnel.look()
        assert ends.tunnels
        ends.tunnel.look()
        assert not ends.tunnels

    run(test)


def test_half_a_tunnel_is_closed_sooner() -> None:
    async def test(ends: Ends) -> None:
        ends.client.shutdown(socket.SHUT_WR)
        assert await ends.read(ends.origin, 1) == b""
        ends.pass_time(relay.HALF_CLOSED + relay.INTERVAL)
        assert not ends.tunnels

    run(test)


def test_the_last_word_is_heard_though_it_came_with_others() -> None:
    async def test(ends: Ends) -> None:
        await ends.send(ends.origin, MEGABYTE[: relay._SIZE // 4])
        ends.origin.shutdown(socket.SHUT_WR)  # told in one event with what was said before
        assert await ends.read(ends.client, len(MEGABYTE)) == MEGABYTE[: relay._SIZE // 4]
        ends.client.shutdown(socket.SHUT_WR)
        assert await ends.read(ends.origin, 1) == b""
        assert not ends.tunnels

    run(test)


def test_a_side_that_is_lost_while_the_other_takes_its_time_is_told_once_it_has() -> None:
    async def test(ends: Ends) -> None:
        sending = asyncio.ensure_future(ends.send(ends.origin, MEGABYTE * 4))
        await asyncio.sleep(0.1)  # the client does not read, so the tunnel has a backlog
        ends.client.close()
        with pytest.raises(ConnectionError):
            await sending
        assert not ends.tunnels

    run(test)


def test_a_closed_tunnel_leaves_nothing_to_the_garbage_collector() -> None:
    class Told:
        def __call__(self, tunnel: Tunnel) -> None:
            """Is told of the end, and lives as long as the tunnel."""

    async def main() -> None:
        watch, told = Watch(), Told()
        client, inside = socket.socketpair()
        origin, outside = socket.socketpair()
        with client, inside, origin, outside:
            tunnel = Tunnel(watch, inside, outside, told)
            tunnel.start(b"")
            there = weakref.ref(told)
            tunnel.close()
            del tunnel, told
            assert there() is None
        watch.close()

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()
