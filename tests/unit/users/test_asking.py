"""Asking about credentials: once, within a time, few at a time, and without keeping a password."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Awaitable, Callable

import pytest

from sumun.model.user import Identity
from sumun.users.asking import Users
from sumun.users.errors import Busy, Unavailable


class Source:
    """Knows kim, and counts."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes]] = []
        self.open = threading.Event()
        self.open.set()

    def check(self, name: str, password: bytes) -> Identity | None:
        self.asked.append((name, password))
        self.open.wait(30)
        return Identity(name) if (name, password) == ("kim", b"right") else None

    def close(self) -> None:
        self.open.set()


def run(test: Callable[[Source, Users], Awaitable[None]], **times: float) -> None:
    async def main() -> None:
        source = Source()
        users = Users(source, **{"least": 0.0, **times})  # type: ignore[arg-type] # by name
        try:
            await test(source, users)
        finally:
            users.close()

    asyncio.run(main())


def test_an_answer_is_remembered_right_or_wrong() -> None:
    async def test(source: Source, users: Users) -> None:
        for _ in range(3):
            assert await users.check("KIM", b"right") == Identity("kim")
            assert await users.check("kim", b"wrong") is None
            assert await users.check("lee", b"right") is None
        assert len(source.asked) == 3

    run(test)


def test_what_is_forgotten_is_asked_again() -> None:
    async def test(source: Source, users: Users) -> None:
        for _ in range(2):
            await users.check("kim", b"right")
        assert len(source.asked) == 2

    run(test, remember=0)


@pytest.mark.parametrize(
    ("name", "password"), [("kim", b""), ("", b"right"), ("k\nim", b"right"), ("kim", b"x" * 257), ("kim", b"ri\0ght")]
)
def test_what_nobody_can_be_called_is_not_even_asked(name: str, password: bytes) -> None:
    async def test(source: Source, users: Users) -> None:
        assert await users.check(name, password) is None
        assert source.asked == []

    run(test)


def test_many_connections_of_one_browser_are_one_question() -> None:
    async def test(source: Source, users: Users) -> None:
        source.open.clear()
        asked = [asyncio.ensure_future(users.check("kim", b"right")) for _ in range(20)]
        await asyncio.sleep(0)
        source.open.set()
        assert set(await asyncio.gather(*asked)) == {Identity("kim")}
        assert len(source.asked) == 1

    run(test)


def test_too_many_at_once_are_turned_away() -> None:
    async def test(source: Source, users: Users) -> None:
        source.open.clear()
        asked = [asyncio.ensure_future(users.check("kim", b"%d" % n)) for n in range(128)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await users.check("kim", b"right")
        source.open.set()
        assert await asyncio.gather(*asked) == [None] * 128

    run(test)


def test_no_answer_in_time_is_a_failure() -> None:
    async def test(source: Source, users: Users) -> None:
        source.open.clear()
        with pytest.raises(Unavailable):
            await users.check("kim", b"right")

    run(test, within=0.05)


def test_no_password_is_kept() -> None:
    async def test(source: Source, users: Users) -> None:
        await users.check("kim", b"right")
        await users.check("kim", b"a-wrong-password")
        source.asked.clear()
        gc.collect()
        kept = repr(vars(users)) + repr([vars(users)[key] for key in ("_known", "_asked")])
        assert "right" not in kept
        assert "a-wrong-password" not in kept

    run(test)
