"""The http point with real sockets and a real curl: pages, what is forwarded, and how it fails."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from sumun.content.llm_request import LIMIT
from sumun.model.segment import FailMode
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.policy.engine import Policy
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment, service
from tests.support.origins import BIG, Origin, OriginCA
from tests.support.proxies import Filter, filtering, say

pytestmark = pytest.mark.integration

OPEN, WORKSPACE, BLOCKED, MODELS, MODELS_OPEN = (f"127.0.0.{n}" for n in (1, 2, 3, 4, 5))
MODEL_RULES = [rule("no-r1", "block", models=("deepseek-*",)), rule("no-files", "block", uploads=True)]


def policies() -> Policy:
    return policy(
        segment("hq", "127.0.0.1/32"),
        segment(
            "workspace", "127.0.0.2/32",
            rules=[rule("own", "allow", services=["chatgpt"], tenant=(("X-Workspace", "ours"),))],
        ),
        segment("military", "127.0.0.3/32", rules=[rule("no-ai", "block", categories=["*"])]),
        segment("models", "127.0.0.4/32", rules=MODEL_RULES),
        segment("models-open", "127.0.0.5/32", rules=MODEL_RULES, on_failure=FailMode.OPEN),
        services=[DEEPSEEK, CHATGPT, service("router", "router.test")],
    )  # fmt: skip


def run(
    folder: Path,
    test: Callable[[Filter, Origin], Awaitable[None]],
    *,
    alpn: tuple[str, ...] = ("h2", "http/1.1"),
    tls: bool = True,
    closing: bool = False,
    **parts: Any,
) -> None:
    async def main() -> None:
        authority = OriginCA(folder)
        names = ("open.test", "router.test", "chat.deepseek.com", "chatgpt.com")
        origin = Origin(context=authority.context(*names, alpn=alpn) if tls else None, close_after_response=closing)
        resolved = dict.fromkeys(names, "127.0.0.1")
        async with (
            origin.serving(),
            filtering(
                folder, parts.pop("policy", policies()), resolved, upstream_ca=authority.path, **parts
            ) as filter_,
        ):
            await test(filter_, origin)

    asyncio.run(main())


# pages


@pytest.mark.parametrize("version", ["2", "1.1"])
def test_a_blocked_service_shows_the_page_and_is_never_dialled(tmp_path: Path, version: str) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"https://chat.deepseek.com:{origin.port}/"
        flag = "--http2" if version == "2" else "--http1.1"
        answer = await filter_.curl(flag, "-H", "Accept: text/html", url, client=BLOCKED)
        assert (answer.status, answer.version) == (403, version)
        assert answer.headers["content-type"].startswith("text/html")
        assert "incident-1" in answer.text
        (event,) = filter_.events.seen
        assert (event.point, event.verdict, event.data_exposed) == (Point.HTTP, Verdict.BLOCK_PAGE, DataExposed.NONE)
        assert event.request.path == "/"
        assert (origin.connections, filter_.resolver.asked) == (0, [])
        assert filter_.count("proxy_requests_total", segment="military", action="block") == 1

    run(tmp_path, test)


def test_a_program_gets_json(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(
            "-H", "Accept: application/json", f"https://chat.deepseek.com:{origin.port}/", client=BLOCKED
        )
        assert answer.status == 403
        assert json.loads(answer.body)["error"]["incident"] == "incident-1"

    run(tmp_path, test)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_sinkholed_client_gets_the_page(tmp_path: Path, scheme: str) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        port = filter_.http_port if scheme == "http" else filter_.https_port
        answer = await filter_.curl(
            "--connect-to", f"::127.0.0.1:{port}", f"{scheme}://chat.deepseek.com/", client=BLOCKED, proxied=False
        )
        assert (answer.status, answer.version) == (403, "2" if scheme == "https" else "1.1")
        assert origin.connections == 0

    run(tmp_path, test)


def test_plain_http_gets_the_page_however_it_comes(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"http://chat.deepseek.com:{origin.port}/"
        assert (await filter_.curl(url, client=BLOCKED)).status == 403
        tunnelled = await filter_.curl("--proxytunnel", url, client=BLOCKED)
        assert (tunnelled.connect_status, tunnelled.status) == (200, 403)
        hidden = await filter_.curl(
            "--proxytunnel", "-H", "Host: chat.deepseek.com", f"http://open.test:{origin.port}/", client=BLOCKED
        )
        assert hidden.status == 400, "an allowed CONNECT does not carry a blocked Host"
        assert origin.connections == 0

    run(tmp_path, test, tls=False)


def test_a_large_upload_to_a_blocked_service_ends_in_the_page(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        upload = tmp_path / "upload"
        upload.write_bytes(bytes(3 * LIMIT))
        answer = await filter_.curl(
            "-H", "Expect:", "--data-binary", f"@{upload}", f"https://chat.deepseek.com:{origin.port}/", client=BLOCKED
        )
        assert answer.status == 403
        assert origin.connections == 0

    run(tmp_path, test)


# what is forwarded


@pytest.mark.parametrize("alpn", [("h2", "http/1.1"), ("http/1.1",), ()], ids=["h2", "http/1.1", "no alpn"])
@pytest.mark.parametrize("version", ["--http2", "--http1.1"])
def test_inspected_requests_reach_any_origin_over_one_connection(
    tmp_path: Path, version: str, alpn: tuple[str, ...]
) -> None:
    """Guards the choice of `lazy`: it must serve clients and origins that speak different versions."""

    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"https://chatgpt.com:{origin.port}/"
        answers = await filter_.curl_each(version, url + "1", url + "2", url + "3", client=WORKSPACE)
        assert [answer.status for answer in answers] == [200, 200, 200]
        assert [answer.connections for answer in answers] == [1, 0, 0]
        assert "alt-svc" not in answers[0].headers
        h2_to_h1 = version == "--http2" and alpn != ("h2", "http/1.1")
        assert origin.connections == (3 if h2_to_h1 else 1), "mitmproxy opens one a request from h2 to h1"
        assert [seen.header("x-workspace") for seen in origin.requests] == [["ours"]] * 3
        assert {event.verdict for event in filter_.events.seen} == {Verdict.FORWARDED}
        assert filter_.events.seen[0].data_exposed is DataExposed.REQUEST_HEADERS

    run(tmp_path, test, alpn=alpn)


def test_an_origin_that_closes_after_each_response_costs_no_request(tmp_path: Path) -> None:
    """Guards the stale keep-alive race."""

    async def test(filter_: Filter, origin: Origin) -> None:
        urls = [f"https://chatgpt.com:{origin.port}/{n}" for n in range(20)]
        answers = await filter_.curl_each("--http1.1", *urls, client=WORKSPACE)
        assert [answer.status for answer in answers] == [200] * 20

    run(tmp_path, test, closing=True)


def test_the_clients_own_tenant_header_is_replaced(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        await filter_.curl(
            "-H", "X-Workspace: private", "-H", "x-workspace: other", f"https://chatgpt.com:{origin.port}/",
            client=WORKSPACE,
        )  # fmt: skip
        assert origin.requests[0].header("x-workspace") == ["ours"]

    run(tmp_path, test)


def test_plain_http_to_an_allowed_site_passes_and_is_not_logged(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answers = await filter_.curl_each(f"http://open.test:{origin.port}/1", f"http://open.test:{origin.port}/2")
        assert [answer.status for answer in answers] == [200, 200]
        assert origin.connections == 1
        assert filter_.events.seen == []

    run(tmp_path, test, tls=False)


def test_an_origin_with_a_foreign_certificate_is_not_trusted(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(f"https://chatgpt.com:{origin.port}/", client=WORKSPACE)
        assert answer.status == 502
        assert origin.requests == []

    stranger = tmp_path / "stranger"
    stranger.mkdir()
    run(tmp_path, test, settings=_trusting(OriginCA(stranger).path, tmp_path))


def _trusting(authority: Path, folder: Path) -> Any:
    from tests.support.proxies import loopback_settings

    return loopback_settings(folder, authority)


def test_events_of_a_stream_arrive_when_they_are_sent(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        async with (
            _client(filter_) as client,
            client.stream("GET", f"https://chatgpt.com:{origin.port}/events") as response,
        ):
            chunks = response.aiter_text()
            assert "first" in await anext(chunks)
            origin.proceed.set()
            assert "second" in await anext(chunks)

    run(tmp_path, test, alpn=("http/1.1",), policy=only("workspace"))


def test_a_large_download_is_not_kept(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl("--http1.1", f"https://chatgpt.com:{origin.port}/big", client=WORKSPACE)
        assert len(answer.body) == BIG

    run(tmp_path, test)


@pytest.mark.parametrize("alpn", [("h2", "http/1.1"), ("http/1.1",)], ids=["h2", "http/1.1"])
def test_an_http2_body_without_length_arrives_framed(tmp_path: Path, alpn: tuple[str, ...]) -> None:
    """Guards against request smuggling: mitmproxy writes such a body behind the head of an HTTP/1 request."""

    async def test(filter_: Filter, origin: Origin) -> None:
        url, body = f"https://chatgpt.com:{origin.port}/v1/chat", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
        answer = await filter_.curl("--http2", "-T", "-", url, client=WORKSPACE, stdin=body)
        assert (answer.status, answer.version) == (200, "2")
        assert [seen.path for seen in origin.requests] == ["/v1/chat"]
        assert origin.requests[0].body.startswith(b"GET /smuggled")

    run(tmp_path, test, alpn=alpn)


def _client(filter_: Filter) -> httpx.AsyncClient:
    """Always from 127.0.0.1: with a proxy, httpx takes no local address."""
    context = ssl.create_default_context(cafile=str(filter_.ca))
    transport = httpx.AsyncHTTPTransport(proxy=f"http://127.0.0.1:{filter_.port}", verify=context)
    return httpx.AsyncClient(transport=transport, trust_env=False)


def only(name: str) -> Policy:
    """The named segment's rules, for 127.0.0.1."""
    rules = policies().rules[name]
    return policy(
        segment(name, "127.0.0.1/32", rules=[compiled.rule for compiled in rules]),
        services=[DEEPSEEK, CHATGPT, service("router", "router.test")],
    )


def test_a_websocket_passes_and_its_messages_are_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"  # RFC 6455, 1.3
            )
            while await reader.readexactly(2 + 4 + 2):  # a masked frame of two octets
                writer.write(b"\x81\x02hi")

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with filtering(tmp_path, policies(), {"open.test": "127.0.0.1"}) as filter_:
            reader, writer = await asyncio.open_connection("127.0.0.1", filter_.port)
            writer.write(
                f"GET http://open.test:{port}/ HTTP/1.1\r\nHost: open.test:{port}\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            async with asyncio.timeout(60):
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
                for _ in range(3):
                    writer.write(b"\x81\x82\0\0\0\0hi")
                    assert await reader.readexactly(4) == b"\x81\x02hi"
            writer.close()
        server.close()

    asyncio.run(main())


# several names in one request


def test_a_host_other_than_that_of_the_connection_is_refused(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"https://chatgpt.com:{origin.port}/"
        answer = await filter_.curl("--http1.1", "-H", "Host: chat.deepseek.com", url, client=WORKSPACE)
        assert answer.status == 400
        assert origin.requests == []
        assert filter_.events.seen[0].context.bypass == "host_mismatch"

    run(tmp_path, test)


def test_an_http2_authority_of_another_host_is_misdirected(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"https://chatgpt.com:{origin.port}/"
        answer = await filter_.curl("--http2", "-H", "Host: open.test", url, client=WORKSPACE)
        assert (answer.status, answer.version) == (421, "2")
        assert origin.requests == []

    run(tmp_path, test)


def test_an_http2_authority_that_is_blocked_gets_the_page(tmp_path: Path) -> None:
    both = policy(
        segment(
            "mixed", "127.0.0.1/32",
            rules=[
                rule("own", "allow", services=["chatgpt"], tenant=(("X-Workspace", "ours"),)),
                rule("no-ds", "block", services=["deepseek"]),
            ],
        ),
        services=[DEEPSEEK, CHATGPT],
    )  # fmt: skip

    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"https://chatgpt.com:{origin.port}/"
        answer = await filter_.curl("--http2", "-H", "Host: chat.deepseek.com", url)
        assert (answer.status, answer.version) == (403, "2")
        (event,) = filter_.events.seen
        assert str(event.request.name) == "chat.deepseek.com"
        assert origin.requests == []

    run(tmp_path, test, policy=both)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: open.test\r\nHost: open.test\r\n\r\n", id="Host twice"),
        pytest.param(b"GET http://open.test/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n", id="target and Host differ"),
        pytest.param(b"GET http://open.test/ HTTP/1.1\r\nHost: open.test\r\nX-A: a\x00b\r\n\r\n", id="NUL in a value"),
        pytest.param(b"GET http://open.test/ HTTP/1.1\r\nHost: open.test\r\nX-A: a\rb\r\n\r\n", id="CR in a value"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", id="Host is no name"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
    ],
)
def test_a_request_that_two_servers_could_read_differently_is_refused(tmp_path: Path, head: bytes) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        head_ = head.replace(b"open.test/", f"open.test:{origin.port}/".encode())
        said = await say(filter_.port, head_)
        assert said.startswith(b"HTTP/1.1 400 "), said[:200]
        assert origin.connections == 0

    run(tmp_path, test, tls=False)


def test_a_request_head_that_does_not_end_is_cut(tmp_path: Path) -> None:
    async def test(filter_: Filter, _: Origin) -> None:
        field = b"X: " + b"a" * 8000 + b"\r\n"
        said = b""
        with suppress(ConnectionError):
            said = await say(filter_.port, b"GET http://open.test/ HTTP/1.1\r\n", *[field] * 2000)
        assert said == b""

    run(tmp_path, test, tls=False)


def test_request_trailers_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Guards against a hang of fifteen minutes and a traceback that any client could cause."""

    async def test(filter_: Filter, origin: Origin) -> None:
        host = f"open.test:{origin.port}"
        head = f"POST http://{host}/ HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n"
        body = b"Connection: close\r\n\r\n1\r\na\r\n0\r\nX-Evil: y\r\n\r\n"
        said = await say(filter_.port, head.encode(), body)
        assert said.startswith(b"HTTP/1.1 200 ")
        (seen,) = origin.requests
        assert (seen.body, seen.header("x-evil")) == (b"a", [])

    run(tmp_path, test, tls=False)
    assert caplog.records == []


def test_a_tunnel_to_port_53_is_http_like_any_other(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        head = b"CONNECT chat.deepseek.com:53 HTTP/1.1\r\n\r\n"
        get = b"GET / HTTP/1.1\r\nHost: chat.deepseek.com\r\nConnection: close\r\n\r\n"
        said = await say(filter_.port, head + get, client=BLOCKED)
        assert b"HTTP/1.1 403 " in said

    run(tmp_path, test, tls=False)


# what the body tells


def chat(model: str) -> str:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param(["-d", chat("gpt-4o")], 200, id="a model that is allowed"),
        pytest.param(["-d", chat("deepseek-r1")], 403, id="a model that is blocked"),
        pytest.param(["-d", chat("DeepSeek-R1")], 403, id="in other letters"),
        pytest.param(["-d", '{"model":"gpt-4o","model":"deepseek-r1"}'], 403, id="two models: nobody can tell"),
        pytest.param(["-d", '{"model":'], 403, id="broken JSON: nobody can tell"),
        pytest.param(["-F", "file=@/etc/hostname"], 403, id="a file"),
        pytest.param([], 200, id="no body"),
    ],
)
def test_the_model_and_the_upload_decide(tmp_path: Path, arguments: list[str], status: int) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(
            "-H", "Content-Type: application/json", *arguments, f"https://router.test:{origin.port}/v1/chat",
            client=MODELS,
        ) if arguments[:1] != ["-F"] else await filter_.curl(
            *arguments, f"https://router.test:{origin.port}/v1/chat", client=MODELS
        )  # fmt: skip
        assert answer.status == status
        assert origin.connections == (1 if status == 200 else 0)
        (event,) = filter_.events.seen
        assert event.verdict is (Verdict.FORWARDED if status == 200 else event.verdict)

    run(tmp_path, test)


@pytest.mark.parametrize("client", [MODELS, MODELS_OPEN])
def test_what_cannot_be_determined_ends_as_the_segment_says(tmp_path: Path, client: str) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(
            "-H",
            "Content-Type: application/json",
            "-d",
            "{broken",
            f"https://router.test:{origin.port}/",
            client=client,
        )
        open_ = client == MODELS_OPEN
        assert answer.status == (200 if open_ else 403)
        name, mode = ("models-open", "open") if open_ else ("models", "closed")
        assert filter_.count("failure_decisions_total", point="http", segment=name, mode=mode) == 1
        (event,) = filter_.events.seen
        assert event.context.failure
        assert event.verdict is (Verdict.FORWARDED if open_ else Verdict.CLOSED)

    run(tmp_path, test)


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
@pytest.mark.parametrize("client", [MODELS, MODELS_OPEN])
def test_a_body_too_large_to_look_at(tmp_path: Path, client: str, chunked: bool) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        body = tmp_path / "body"
        body.write_bytes(b'{"model":"deepseek-r1","x":"' + b"x" * (LIMIT + 1) + b'"}')
        flags = ["-H", "Transfer-Encoding: chunked"] if chunked else []
        answer = await filter_.curl(
            "--http1.1", *flags, "-H", "Expect:", "-H", "Content-Type: application/json", "--data-binary", f"@{body}",
            f"https://router.test:{origin.port}/", client=client,
        )  # fmt: skip
        expected = 403 if client == MODELS else 413 if chunked else 200
        assert answer.status == expected
        assert len(origin.requests) == (1 if expected == 200 else 0)

    run(tmp_path, test)


def test_a_packed_body_is_read(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        async with _client(filter_) as client:
            response = await client.post(
                f"https://router.test:{origin.port}/",
                content=gzip.compress(chat("deepseek-r1").encode()),
                headers={"content-type": "application/json", "content-encoding": "gzip"},
            )
        assert response.status_code == 403
        assert origin.connections == 0

    run(tmp_path, test, policy=only("models"))


# failures of ours


@pytest.mark.parametrize("mode", list(FailMode))
def test_a_policy_that_breaks_ends_as_the_segment_says(tmp_path: Path, mode: FailMode) -> None:
    sound = policy(segment("hq", "127.0.0.1/32", on_failure=mode))

    class Breaking:
        def segment_of(self, client: Any) -> Any:
            return sound.segment_of(client)

        def decide(self, *_: object, **__: object) -> Any:
            raise RuntimeError("broken")

    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(f"http://open.test:{origin.port}/")
        assert answer.status == (403 if mode is FailMode.CLOSED else 200)
        assert filter_.count("failure_decisions_total", point="http", segment="hq", mode=mode) == 1

    run(tmp_path, test, tls=False, policy=Breaking)


def test_no_policy_at_all_is_closed(tmp_path: Path) -> None:
    def no_policy() -> Policy:
        raise RuntimeError("broken")

    async def test(filter_: Filter, origin: Origin) -> None:
        assert (await filter_.curl(f"http://open.test:{origin.port}/")).status == 403
        assert (await filter_.curl(f"https://open.test:{origin.port}/")).connect_status == 403
        assert origin.connections == 0

    run(tmp_path, test, tls=False, policy=no_policy)


@pytest.mark.parametrize("broken", ["pages", "events"])
def test_a_block_stands_where_it_cannot_be_shown_or_told(tmp_path: Path, broken: str) -> None:
    class Broken:
        def record(self, _: object) -> str:
            raise RuntimeError("broken")

        def __call__(self, *_: object, **__: object) -> Any:
            raise RuntimeError("broken")

    async def test(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(f"https://chat.deepseek.com:{origin.port}/", client=BLOCKED)
        assert answer.status == 403
        assert origin.connections == 0
        assert filter_.count("failure_decisions_total", point="http", segment="military", mode="closed") == 1

    run(tmp_path, test, **{broken: Broken()})


def test_a_resolver_that_breaks_dials_nothing(tmp_path: Path) -> None:
    class Broken:
        async def addresses(self, _: object) -> Any:
            raise RuntimeError("broken")

    async def test(filter_: Filter, origin: Origin) -> None:
        assert (await filter_.curl(f"http://open.test:{origin.port}/")).status == 502
        assert origin.connections == 0

    run(tmp_path, test, tls=False, resolver=Broken())
