"""Clients that refuse our certificate: told of, and let through only where a rule can do without looking."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sumun.model.rule import OnPinned, Rule
from sumun.model.segment import ProxyPolicy
from sumun.model.verdict import Verdict
from tests.support.builders import CHATGPT, DEEPSEEK, NOON, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Filter, filtering

pytestmark = pytest.mark.integration

LOOKS = rule("no-r1", "block", models=["r1*"], on_pinned=OnPinned.SPLICE)
TENANT = rule("ours-only", "allow", services=["chatgpt"], tenant=(("X-Tenant", "ours"),), on_pinned=OnPinned.SPLICE)
STRICT = rule("no-r1", "block", models=["r1*"])
BLOCKS = rule("no-chatgpt", "block", services=["chatgpt"], uploads=True)


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


def run(folder: Path, test: Callable[[Filter, Origin, Clock], Awaitable[None]], *rules: Rule) -> None:
    async def main() -> None:
        authority, clock = OriginCA(folder), Clock()
        origin = Origin(context=authority.context("chatgpt.com"))
        async with origin.serving():
            of = policy(
                segment("hq", "127.0.0.1/32", "127.0.0.2/32", rules=rules, proxy=ProxyPolicy(frozenset({origin.port}))),
                services=[DEEPSEEK, CHATGPT],
            )
            async with filtering(
                folder, of, {"chatgpt.com": "127.0.0.1"}, upstream_ca=authority.path, clock=clock
            ) as filter_:
                await test(filter_, origin, clock)

    asyncio.run(main())


async def pinned(filter_: Filter, folder: Path, origin: Origin, *more: str, client: str = "127.0.0.1") -> int:
    """An application that trusts the origin's own authority alone; returns curl's exit code."""
    roots = ["--cacert", str(folder / "origin-ca.pem")]
    return (await filter_.curl(*roots, *more, f"https://chatgpt.com:{origin.port}/", client=client)).code


@pytest.mark.parametrize("of", [LOOKS, TENANT], ids=["a rule that looks inside", "a tenant"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_next_connection_passes_where_the_rule_says_so(tmp_path: Path, of: Rule, version: str) -> None:
    async def test(filter_: Filter, origin: Origin, clock: Clock) -> None:
        spoken = [f"--tlsv{version}", "--tls-max", version]
        assert await pinned(filter_, tmp_path, origin, *spoken) == 60
        first = await filter_.events.next()
        assert (first.verdict, first.context.pinned) == (Verdict.CLOSED, True)
        assert origin.connections == 0, "never let through by itself"
        assert await pinned(filter_, tmp_path, origin, *spoken) == 0
        second = await filter_.events.next()
        assert (second.verdict, second.context.pinned) == (Verdict.SPLICED, True)
        assert await pinned(filter_, tmp_path, origin, client="127.0.0.2") == 60, "another client is another matter"
        clock.at += timedelta(hours=1)
        assert await pinned(filter_, tmp_path, origin) == 60, "for a time"
        assert filter_.count("pinned_connections_total", segment="hq", outcome="refused") == 3
        assert filter_.count("pinned_connections_total", segment="hq", outcome="spliced") == 1

    run(tmp_path, test, of)


@pytest.mark.parametrize("rules", [[STRICT], [LOOKS, BLOCKS]], ids=["refuse", "another rule would have to look"])
def test_otherwise_it_goes_on_being_refused(tmp_path: Path, rules: list[Rule]) -> None:
    async def test(filter_: Filter, origin: Origin, _: Clock) -> None:
        for _ in range(2):
            assert await pinned(filter_, tmp_path, origin) == 60
            assert (await filter_.events.next()).context.pinned
        assert origin.connections == 0

    run(tmp_path, test, *rules)


def test_a_probe_that_just_hangs_up_is_no_refusal(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin, _: Clock) -> None:
        from tests.support.proxies import hello

        reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
        writer.write(f"CONNECT chatgpt.com:{origin.port} HTTP/1.1\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(hello("chatgpt.com"))
        await reader.read(5)
        writer.close()
        event = await filter_.events.next()
        assert (event.verdict, event.context.pinned) == (Verdict.CLOSED, False)
        assert await pinned(filter_, tmp_path, origin) == 60

    run(tmp_path, test, LOOKS)
