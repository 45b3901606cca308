from __future__ import annotations

import asyncio

import pytest

from sumun.model.name import DomainName
from sumun.upstream.domains import UpstreamsByDomain
from tests.unit.sinkhole.asking import query


class Named:
    """Resolvers that answer with their own name."""

    def __init__(self, name: bytes) -> None:
        self.name, self.closed = name, False

    async def ask(self, query: bytes) -> bytes:
        return self.name

    async def addresses(self, name: DomainName) -> bytes:
        return self.name

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.example.test", b"general"),
        ("corp.example", b"corp"),
        ("Host.CORP.example", b"corp"),
        ("a.lab.corp.example", b"lab"),
        ("notcorp.example", b"general"),
        (".", b"general"),
    ],
)
def test_the_longest_name_decides(name: str, expected: bytes) -> None:
    corp, lab, general = Named(b"corp"), Named(b"lab"), Named(b"general")
    domains = {DomainName.parse("corp.example"): corp, DomainName.parse("lab.corp.example"): lab}
    it = UpstreamsByDomain(general, domains)  # type: ignore[arg-type]  # fakes

    async def main() -> None:
        assert await it.ask(query(name)) == expected
        if name != ".":
            assert await it.addresses(DomainName.parse(name)) == expected
        await it.close()
        assert corp.closed
        assert lab.closed
        assert general.closed

    asyncio.run(main())
