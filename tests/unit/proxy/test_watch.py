from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from sumun.proxy.watch import _BATCHES, HEARD, Watch

TURNS = 20


class Ping:
    """Two ends of a socket: whenever one is told of an octet, it makes another one come."""

    def __init__(self, watch: Watch, then: Callable[[], None]) -> None:
        self._watch, self._then = watch, then
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.heard = 0
        watch.add(self.near.fileno(), HEARD, self.hear)
        self.far.send(b".")

    def hear(self, _: int) -> None:
        self.near.recv(1)
        self.heard += 1
        self.far.send(b".")
        self._then()

    def close(self) -> None:
        self._watch.forget(self.near.fileno())
        self.near.close()
        self.far.close()


def test_what_comes_meanwhile_is_dealt_with_in_the_same_turn_and_others_have_theirs() -> None:
    async def main() -> int:
        watch = Watch()
        ping = Ping(watch, lambda: None)
        for _ in range(TURNS):
            await asyncio.sleep(0)
        heard = ping.heard
        ping.close()
        watch.close()
        return heard

    assert TURNS < asyncio.run(main()) <= (TURNS + 1) * _BATCHES


def test_who_closes_the_watch_is_the_last_to_be_told() -> None:
    async def main() -> int:
        watch, closed = Watch(), asyncio.Event()

        def end() -> None:
            watch.close()
            closed.set()

        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        ping = Ping(watch, end)
        async with asyncio.timeout(10):
            await closed.wait()
        ping.near.close()
        ping.far.close()
        return ping.heard

    failed: list[dict[str, object]] = []
    assert asyncio.run(main()) == 1
    assert failed == []
