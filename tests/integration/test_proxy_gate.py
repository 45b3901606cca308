"""The gate with real sockets: what is spliced, what is refused, and that nothing a client says breaks it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sumun.model.segment import FailMode, Handling, ProxyPolicy
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.policy.engine import Policy
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment
from tests.support.origins import BIG, Origin, OriginCA
from tests.support.proxies import Filter, filtering, hello, say

pytestmark = pytest.mark.integration

OPEN, BLOCKED, STRANGER = "127.0.0.1", "127.0.0.3", "127.0.0.9"


def three_ways() -> Policy:
    return policy(
        segment("hq", "127.0.0.1/32", proxy=ProxyPolicy(other_protocols=Handling.ALLOW)),
        segment("military", "127.0.0.3/32", rules=[rule("no-ai", "block", categories=["*"])]),
        services=[DEEPSEEK, CHATGPT],
    )


def run(folder: Path, test: Callable[[Filter, Origin], Awaitable[None]], *, closing: bool = False) -> None:
    async def main() -> None:
        authority = OriginCA(folder)
        origin = Origin(
            context=authority.context("open.test", "chat.deepseek.com", "127.0.0.1"), close_after_response=closing
        )
        names = {"open.test": "127.0.0.1", "chat.deepseek.com": "127.0.0.1", "inside.test": "10.1.2.3"}
        async with (
            origin.serving(),
            filtering(folder, three_ways(), names, upstream_ca=authority.path) as filter_,
        ):
            await test(filter_, origin)

    asyncio.run(main())


def connect(host: str) -> bytes:
    return f"CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
ALERT = bytes((0x15, 3, 3, 0, 2, 2, 49))


@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_an_allowed_site_shows_its_own_certificate(tmp_path: Path, version: str) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"https://open.test:{origin.port}/"
        answer = await filter_.curl(version, "--cacert", str(tmp_path / "origin-ca.pem"), url)
        assert (answer.status, answer.text) == (200, "origin speaking")
        assert (await filter_.curl(url)).code == 60, "our own authority must not have signed it"
        assert filter_.events.seen == []
        assert filter_.count("proxy_connections_total", segment="hq", outcome="spliced") == 2

    run(tmp_path, test)


def test_ten_megabytes_pass_whole(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(
            "--http1.1", "--cacert", str(tmp_path / "origin-ca.pem"), f"https://open.test:{origin.port}/big"
        )
        assert (answer.code, len(answer.body)) == (0, BIG)

    run(tmp_path, test)


def test_an_allowed_service_is_spliced_and_logged(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(
            "--cacert", str(tmp_path / "origin-ca.pem"), f"https://chat.deepseek.com:{origin.port}/"
        )
        assert answer.status == 200
        (event,) = filter_.events.seen
        assert (event.point, event.verdict, event.data_exposed) == (
            Point.GATE, Verdict.SPLICED, DataExposed.REQUEST_BODY,
        )  # fmt: skip
        assert event.context.server_name == "chat.deepseek.com"

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("target", "status", "why"),
    [
        ("inside.test:443", 403, "private"),
        ("169.254.169.254:80", 403, "link-local"),
        ("0xa9fea9fe:80", 403, "link-local"),
        ("[::ffff:10.0.0.1]:443", 403, "private"),
        ("[64:ff9b::a00:1]:443", 403, "private"),
        ("nowhere.test:443", 502, "cannot be resolved"),
        ("open.test", 400, "needs a port"),
        ("open.test:0", 400, "no port"),
        ("a..b:443", 400, "empty label"),
    ],
)
def test_a_connect_that_leads_nowhere_is_told_why(tmp_path: Path, target: str, status: int, why: str) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        said = await say(filter_.port, connect(target))
        assert said.startswith(f"HTTP/1.1 {status} ".encode())
        assert why in said.decode()
        assert origin.connections == 0

    run(tmp_path, test)


def test_our_own_listeners_are_never_dialled(tmp_path: Path) -> None:
    async def test(filter_: Filter, _: Origin) -> None:
        for port in (filter_.port, filter_.https_port):
            said = await say(filter_.port, connect(f"127.0.0.1:{port}"))
            assert said.startswith(b"HTTP/1.1 403 ")
            assert b"listener" in said
        answer = await filter_.curl(f"http://127.0.0.1:{filter_.port}/")
        assert answer.status == 502, "nor by plain HTTP"

    run(tmp_path, test)


def test_a_client_of_no_segment_is_refused(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        through = await filter_.curl(f"https://open.test:{origin.port}/", client=STRANGER)
        assert through.connect_status == 403
        plain = await filter_.curl(f"http://open.test:{origin.port}/", client=STRANGER)
        assert plain.status == 403
        assert await say(filter_.https_port, hello("open.test"), client=STRANGER) == ALERT
        assert origin.connections == 0
        assert filter_.count("proxy_connections_total", segment="unknown", outcome="refused") == 2
        assert {event.verdict for event in filter_.events.seen} == {Verdict.REFUSED}

    run(tmp_path, test)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([bytes((b,)) for b in hello("open.test")], id="one octet at a time"),
        pytest.param([hello("open.test")[:5], hello("open.test")[5:]], id="after the record header"),
    ],
)
def test_a_clienthello_in_pieces_is_read(tmp_path: Path, pieces: list[bytes]) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        first, *rest = pieces
        reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
        writer.write(connect(f"open.test:{origin.port}") + first)
        for piece in rest:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(60):
            assert await reader.readexactly(len(ESTABLISHED)) == ESTABLISHED
            assert (await reader.readexactly(3))[:2] == b"\x16\x03", "the origin's ServerHello"
        writer.close()

    run(tmp_path, test)


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(b"\x00\x01\x02\x03garbage", id="garbage"),
        pytest.param(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", id="a hello cut short inside"),
        pytest.param(b"\x16\x03\x01\x40\x01" + b"\x01" * 100, id="a record that is too large"),
        pytest.param(b"\x16\x09", id="no TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 without TLS"),
        pytest.param(b"\x16\x03\x01\x40\x00\x01\x00\xff\xff" + b"\x00" * 40_000, id="a hello that does not end"),
        pytest.param(b"CONNECT " + b"a" * 40_000, id="a CONNECT that does not end"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
    ],
)
def test_what_makes_no_sense_is_closed_cleanly(
    tmp_path: Path, opening: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        for port in (filter_.port, filter_.http_port, filter_.https_port):
            said = await say(port, opening, finish=len(opening) < 100)
            assert said == b"" or said.startswith(b"HTTP/1.1 400 ")
        assert origin.connections == 0
        assert filter_.count("proxy_connections_total", segment="hq", outcome="failed") == 3

    run(tmp_path, test)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_probe_that_says_nothing_is_not_counted(tmp_path: Path) -> None:
    async def test(filter_: Filter, _: Origin) -> None:
        assert await say(filter_.port, b"", finish=True) == b""
        assert filter_.count("proxy_connections_total", segment="hq", outcome="failed") == 0

    run(tmp_path, test)


def test_tls_without_a_server_name_is_closed(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        assert await say(filter_.https_port, hello(None)) == ALERT
        assert filter_.count("bypass_attempts_total", segment="hq", technique="no_server_name") == 1
        assert origin.connections == 0

    run(tmp_path, test)


def test_a_server_name_other_than_the_connect_host_is_refused(tmp_path: Path) -> None:
    """Control: the same two names, each by itself, pass in this segment."""

    async def test(filter_: Filter, origin: Origin) -> None:
        said = await say(filter_.port, connect(f"open.test:{origin.port}"), hello("chat.deepseek.com"))
        assert said == ESTABLISHED + ALERT
        (event,) = filter_.events.seen
        assert (event.verdict, event.context.bypass) == (Verdict.REFUSED, "sni_mismatch")
        assert event.request.name is not None
        assert event.request.name.text == "chat.deepseek.com"
        assert origin.connections == 0

    run(tmp_path, test)


def test_the_server_name_tells_where_a_connect_by_address_leads(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        said = await say(
            filter_.port, connect(f"127.0.0.1:{origin.port}"), hello("chat.deepseek.com"), client=BLOCKED, finish=True
        )
        assert said.startswith(ESTABLISHED)
        assert origin.connections == 0

    run(tmp_path, test)


def test_another_protocol_passes_to_an_allowed_host_and_not_to_a_blocked_one(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.read())
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        banner = b"SSH-2.0-OpenSSH_9.2\r\n"
        assert await say(filter_.port, connect(f"open.test:{port}"), banner, finish=True) == ESTABLISHED + banner
        said = await say(filter_.port, connect(f"chat.deepseek.com:{port}"), banner, client=BLOCKED)
        assert said == ESTABLISHED
        (event,) = filter_.events.seen
        assert (event.verdict, event.context.bypass) == (Verdict.CLOSED, "unknown_protocol")
        server.close()

    run(tmp_path, test)


def test_a_half_close_is_passed_on(tmp_path: Path) -> None:
    async def test(filter_: Filter, _: Origin) -> None:
        async def sum_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(str(len(await reader.read())).encode())
            writer.close()

        server = await asyncio.start_server(sum_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        said = await say(filter_.port, connect(f"open.test:{port}"), b"\x00" + b"x" * 999_999, finish=True)
        assert said == ESTABLISHED + b"1000000"
        server.close()

    run(tmp_path, test)


def test_a_slow_reader_holds_the_sender_back(tmp_path: Path) -> None:
    async def test(filter_: Filter, _: Origin) -> None:
        sent = 0

        async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            while True:
                writer.write(bytes(65536))
                await writer.drain()
                sent += 65536

        server = await asyncio.start_server(flood, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port, limit=1024)
        writer.write(connect(f"open.test:{port}") + b"\x00")
        await reader.readexactly(len(ESTABLISHED) + 1)
        before = -1
        while sent > before:  # until the kernel's buffers are full and nothing moves any more
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 64 * 1024 * 1024
        writer.close()
        server.close()

    run(tmp_path, test)


def test_a_steered_client_of_an_allowed_name_is_spliced_to_port_443(tmp_path: Path) -> None:
    async def main() -> None:
        authority = OriginCA(tmp_path)
        origin = Origin(address="127.83.117.109", context=authority.context("open.test"))
        try:
            async with (
                origin.serving(443),
                filtering(tmp_path, three_ways(), {"open.test": origin.address}) as filter_,
            ):
                answer = await filter_.curl(
                    "--cacert", str(authority.path), "--connect-to", f"::127.0.0.1:{filter_.https_port}",
                    "https://open.test/", proxied=False,
                )  # fmt: skip
                assert (answer.status, answer.text) == (200, "origin speaking")
        except PermissionError:
            pytest.skip("port 443 needs a privilege")

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["closed", "open"])
def test_a_gate_that_cannot_decide_does_as_the_segment_says(tmp_path: Path, mode: str) -> None:
    class Broken(Exception):
        pass

    async def main() -> None:
        authority = OriginCA(tmp_path)
        origin = Origin(context=authority.context("open.test"))
        sound = policy(segment("hq", "127.0.0.1/32", on_failure=FailMode(mode)))

        class Failing:
            def segment_of(self, client: object) -> object:
                return sound.segment_of(client)  # type: ignore[arg-type] # a fake passes on what it gets

            def decide(self, *_: object, **__: object) -> object:
                raise Broken

        async with origin.serving(), filtering(tmp_path, Failing, {"open.test": "127.0.0.1"}) as filter_:  # type: ignore[arg-type] # stands for a policy that breaks
            answer = await filter_.curl("--cacert", str(authority.path), f"https://open.test:{origin.port}/")
            assert answer.status == (200 if mode == "open" else 0)
            assert filter_.count("failure_decisions_total", point="gate", segment="hq", mode=mode) >= 1
            assert origin.connections == (1 if mode == "open" else 0)

    asyncio.run(main())


def test_a_client_that_does_not_trust_our_authority_is_recorded(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(
            "--cacert", str(tmp_path / "origin-ca.pem"), f"https://chat.deepseek.com:{origin.port}/", client=BLOCKED
        )
        assert answer.code == 60
        event = await asyncio.wait_for(filter_.events.next(), 30)
        assert (event.point, event.verdict, event.data_exposed) == (Point.GATE, Verdict.CLOSED, DataExposed.NONE)
        assert event.outcome.segment == "military"
        assert origin.connections == 0

    run(tmp_path, test)
