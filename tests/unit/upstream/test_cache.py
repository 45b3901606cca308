from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from sumun.model.name import DomainName
from sumun.upstream.cache import ENTRIES, MAX_TTL, NONE_TTL, AddressCache, Found
from sumun.upstream.errors import UpstreamError

NAME = DomainName.parse("open.example")
ADDRESS = ip_address("192.0.2.1")


class Upstream:
    """Answers as it is told, and counts."""

    def __init__(self, found: Found | None = None) -> None:
        self.found = found
        self.asked = 0
        self.now = 1000.0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.cache = AddressCache(self.find, lambda: self.now)

    async def find(self, name: DomainName) -> Found:
        self.asked += 1
        await self.go_on.wait()
        if self.found is None:
            raise UpstreamError("no resolver answered")
        return self.found


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        pytest.param(Found((ADDRESS,), 60), 60, id="for its ttl"),
        pytest.param(Found((ADDRESS,), 86_400), MAX_TTL, id="never longer than the maximum"),
        pytest.param(Found((ADDRESS,), 0), 0, id="not at all, with a ttl of nought"),
        pytest.param(Found((), 3600), NONE_TTL, id="shortly, where there is no address"),
    ],
)
def test_an_answer_is_kept(found: Found, kept: int) -> None:
    async def main() -> None:
        upstream = Upstream(found)
        for later, questions in ((0.0, 1), (kept - 0.5, 1 if kept else 2), (0.5, 2 if kept else 3)):
            upstream.now += later
            assert await upstream.cache.addresses(NAME) == found.addresses
            assert upstream.asked == questions

    asyncio.run(main())


def test_a_failure_is_told_and_not_kept() -> None:
    async def main() -> None:
        upstream = Upstream()
        for _ in range(2):
            with pytest.raises(UpstreamError):
                await upstream.cache.addresses(NAME)
        assert upstream.asked == 2

    asyncio.run(main())


def test_questions_that_come_together_are_asked_once_and_survive_the_first_that_gives_up() -> None:
    async def main() -> None:
        upstream = Upstream(Found((ADDRESS,), 60))
        upstream.go_on.clear()
        waiting = [asyncio.ensure_future(upstream.cache.addresses(NAME)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        upstream.go_on.set()
        assert await asyncio.gather(*waiting[1:]) == [(ADDRESS,), (ADDRESS,)]
        assert upstream.asked == 1

    asyncio.run(main())


def test_it_is_bounded() -> None:
    async def main() -> None:
        upstream = Upstream(Found((ADDRESS,), 60))
        for number in range(ENTRIES + 1):
            await upstream.cache.addresses(DomainName(f"n{number}.example"))
        before = upstream.asked
        await upstream.cache.addresses(DomainName(f"n{ENTRIES}.example"))
        assert upstream.asked == before, "the last one is still known"
        await upstream.cache.addresses(DomainName("n0.example"))
        assert upstream.asked == before + 1, "the first one is not"

    asyncio.run(main())
