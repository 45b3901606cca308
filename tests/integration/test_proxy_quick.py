"""The gate's own answers beside mitmproxy's, head by head: nobody can tell who gave them."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from sumun.config.user_settings import IdentityHeader, UserSettings
from sumun.model.event import AccessDecided
from sumun.model.segment import Authenticate, FailMode, ProxyPolicy
from sumun.model.user import Identity
from sumun.policy.engine import Policy
from tests.support.builders import DEEPSEEK, policy, rule, segment
from tests.support.forms import Desk, serving
from tests.support.heads import BLOCK, JUSTIFY, MODELS, STRANGER, WARN, head, others, stopped, stopping
from tests.support.origins import Origin
from tests.support.proxies import Filter, loopback_settings, say

pytestmark = pytest.mark.integration

WAIT = 30
"""Seconds for one exchange, on the slowest machine."""
LAST = head("GET", "/last", "Connection: close", "Accept: application/json")
_TICKET = re.compile(rb'name="ticket" value="[^"]*"')
_LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)


async def response(reader: asyncio.StreamReader) -> bytes:
    """One response, and what leads up to it (100 Continue); nothing where the connection ends."""
    try:
        found = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as ended:
        return ended.partial
    if found.startswith(b"HTTP/1.1 100 "):
        return found + await response(reader)
    length = _LENGTH.search(found)
    return found + await reader.readexactly(int(length[1]) if length else 0)


async def exchange(port: int, said: bytes, client: str) -> tuple[bytes, bytes]:
    """What a request is answered, and what another one on the same connection: nothing, where that was closed."""
    async with asyncio.timeout(WAIT):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(client, 0))
        first, second = b"", b""
        with suppress(ConnectionError):
            writer.write(said)
            first = await response(reader)
            writer.write(LAST)
            second = await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return first, second


def plainly(answer: bytes) -> bytes:
    """Without what is drawn by lot."""
    return _TICKET.sub(b"a ticket", answer)


def counts(filter_: Filter) -> dict[object, float]:
    """Everything that is counted, but how long it took."""
    samples = [sample for metric in filter_.registry.collect() for sample in metric.samples]
    timed = ("_bucket", "_sum", "_created")
    return {(s.name, *sorted(s.labels.items())): s.value for s in samples if not s.name.endswith(timed)}


type Seen = list[tuple[bytes, list[AccessDecided]]]
"""What was answered and told, request by request."""


def compared(
    folder: Path,
    ask: Callable[[Desk], Awaitable[Seen]],
    policy_: Policy | Callable[[], Policy],
    names: dict[str, Any] | None = None,
    parts: dict[str, Any] | None = None,
    **more: Any,
) -> Seen:
    """Ask the same of two filters: one whose gate answers, and one where mitmproxy does. (It runs one at a time.)"""

    async def one(*, at_gate: bool) -> tuple[Seen, dict[object, float]]:
        mine = folder / str(at_gate)
        mine.mkdir()
        settings = loopback_settings(mine, **more)
        async with serving(mine, policy_, names, settings=settings, answers_at_gate=at_gate, **(parts or {})) as desk:
            seen = await ask(desk)
        return seen, counts(desk.filter)

    (gate, counted), (mitmproxy, counted_there) = (asyncio.run(one(at_gate=at_gate)) for at_gate in (True, False))
    for here, there in zip(gate, mitmproxy, strict=True):
        assert here == there
    assert counted == counted_there
    return gate


def each(requests: Iterable[bytes], client: str, *, pages: bool = False) -> Callable[[Desk], Awaitable[Seen]]:
    """Ask for one after the other, each on a connection of its own."""

    async def ask(desk: Desk) -> Seen:
        port = desk.filter.http_port if pages else desk.filter.port
        return [
            (said + b"".join(map(plainly, await exchange(port, said, client))), desk.filter.events.take())
            for said in requests
        ]

    return ask


CORPUS = [*stopped(), *others()]


@pytest.mark.parametrize("client", [BLOCK, WARN, JUSTIFY, MODELS, STRANGER])
def test_every_request_is_answered_and_told_alike(tmp_path: Path, client: str) -> None:
    assert len(CORPUS) > 200
    seen = compared(tmp_path, each(CORPUS, client), stopping())
    assert sum(bool(told) for _, told in seen) > 150


def test_sinkholed_clients_are_too(tmp_path: Path) -> None:
    compared(tmp_path, each(CORPUS, BLOCK, pages=True), stopping())


def test_a_parent_tells_whose_request_it_is(tmp_path: Path) -> None:
    named = (f"X-Forwarded-For: {WARN}", f"X-Forwarded-For: 192.0.2.1, {STRANGER}", "X-Forwarded-For: x", "A: b")
    lines = (b"", f"PROXY TCP4 {WARN} 127.0.0.1 1 2\r\n".encode(), b"PROXY UNKNOWN\r\n")
    requests = [line + head("GET", "/", field) for line in lines for field in named]
    seen = compared(tmp_path, each(requests, BLOCK), stopping(), trusted_parents=(ip_network(f"{BLOCK}/32"),))
    assert {str(event.request.client) for _, told in seen for event in told} >= {BLOCK, WARN}


CHUNKED = head("POST", "/", "Transfer-Encoding: chunked", "Connection: close", body=b"0\r\n\r\n")


@pytest.mark.parametrize("last", [LAST, CHUNKED], ids=["all at the gate", "the last by mitmproxy"])
def test_requests_sent_at_once_are_answered_in_turn(tmp_path: Path, last: bytes) -> None:
    many = b"".join(head("GET", f"/{n}", "Accept: application/json") for n in range(200))

    async def ask(desk: Desk) -> Seen:
        return [(await say(desk.filter.port, many + last, client=BLOCK), desk.filter.events.take())]

    ((answers, told),) = compared(tmp_path, ask, stopping())
    assert answers.count(b"HTTP/1.1 403 ") == len(told) == 201


def test_a_connection_goes_on_with_mitmproxy_and_stays_there(tmp_path: Path) -> None:
    async def ask(desk: Desk) -> Seen:
        origin = Origin()
        async with origin.serving(), asyncio.timeout(WAIT):
            open_ = [head("GET", path, host=f"open.test:{origin.port}") for path in ("/1", "/2")]
            reader, writer = await asyncio.open_connection("127.0.0.1", desk.filter.port, local_addr=(BLOCK, 0))
            answers = b""
            for turn in (head("GET", "/a"), open_[0], head("GET", "/b"), open_[1], LAST):
                writer.write(turn)
                answers += await response(reader)
            writer.close()
            assert [seen.path for seen in origin.requests] == ["/1", "/2"]
        return [(plainly(answers), desk.filter.events.take())]

    ((answers, told),) = compared(tmp_path, ask, stopping(), names={"open.test": "127.0.0.1"})
    assert (answers.count(b"HTTP/1.1 403 "), answers.count(b"HTTP/1.1 200 "), len(told)) == (3, 2, 3)


def broken(*_: object, **__: object) -> Any:
    raise RuntimeError("broken")


class BrokenEvents:
    def record(self, _: AccessDecided) -> str:
        return str(broken())


class BrokenDecisions(Policy):
    """Knows who is where, and nothing else."""

    def __init__(self, sound: Policy) -> None:
        self.sound = sound

    def segment_of(self, client: Any) -> Any:
        return self.sound.segment_of(client)

    def granting(self, _: Any) -> Policy:
        return self

    decide = facts = broken


@pytest.mark.parametrize("parts", [{"pages": broken}, {"events": BrokenEvents()}], ids=["pages", "events"])
def test_what_is_stopped_is_stopped_though_it_cannot_be_shown_or_told(tmp_path: Path, parts: dict[str, Any]) -> None:
    requests = [head("GET", "/"), head("HEAD", "/"), head("POST", "/", "Content-Length: 2", body=b"{}")]
    seen = compared(tmp_path, each(requests, BLOCK), stopping(), parts=parts)
    assert all(b"HTTP/1.1 403 " in answers for answers, _ in seen)


@pytest.mark.parametrize("mode", list(FailMode))
def test_what_cannot_be_decided_ends_as_the_segment_says(tmp_path: Path, mode: FailMode) -> None:
    unsure = BrokenDecisions(policy(segment("hq", f"{BLOCK}/32", on_failure=mode)))
    seen = compared(tmp_path, each([head("GET", "/"), head("HEAD", "/")], BLOCK), lambda: unsure)
    assert all((b"HTTP/1.1 403 " in answers) is (mode is FailMode.CLOSED) for answers, _ in seen)


class OneUser:
    """Knows kim."""

    async def check(self, name: str, password: bytes) -> Identity | None:
        await asyncio.sleep(0)
        return Identity(name) if (name, password) == ("kim", b"right") else None

    def close(self) -> None:
        pass


@pytest.mark.parametrize("pages", [False, True], ids=["at the proxy", "sinkholed"])
@pytest.mark.parametrize("mode", list(Authenticate))
def test_users_are_asked_alike(tmp_path: Path, mode: Authenticate, pages: bool) -> None:
    rules = [rule("kim-may", "allow", users=["kim"]), rule("no-ai", "block", categories=["*"])]
    asking = policy(
        segment("hq", f"{BLOCK}/32", rules=rules, proxy=ProxyPolicy(authenticate=mode)), services=[DEEPSEEK]
    )
    said = [b64encode(each).decode() for each in (b"kim:right", b"kim:wrong", b"kim", b":")]
    fields = [(), *((f"Proxy-Authorization: Basic {each}",) for each in said), ("X-User: kim",), ("X-User: lee",)]
    twice = (f"Proxy-Authorization: Basic {said[0]}",) * 2
    requests = [head("GET", "/", *more) for more in (*fields, twice)]
    for name, parents in (("alone", ()), ("behind a parent", (ip_network(f"{BLOCK}/32"),))):
        (tmp_path / name).mkdir()
        compared(
            tmp_path / name, each(requests, BLOCK, pages=pages), asking, parts={"users": OneUser()},
            users=UserSettings(header=IdentityHeader("X-User", None)), trusted_parents=parents,
        )  # fmt: skip


def test_a_drain_does_not_wait_for_connections_that_the_gate_keeps(tmp_path: Path) -> None:
    async def ask(desk: Desk) -> Seen:
        async with asyncio.timeout(WAIT):
            reader, writer = await asyncio.open_connection("127.0.0.1", desk.filter.port, local_addr=(BLOCK, 0))
            writer.write(head())
            answer = plainly(await response(reader))
            await desk.filter.proxy.drain(asyncio.Event())
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        return [(answer, desk.filter.events.take())]

    compared(tmp_path, ask, stopping())
