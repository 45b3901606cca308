"""What a person sees where the filter lets a request pass and the origin does not answer as it should."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sumun.policy.engine import Policy
from tests.support.builders import CHATGPT, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Filter, filtering

pytestmark = pytest.mark.integration

BROWSER = ("-H", "Accept: text/html")


def inspected() -> Policy:
    """Requests to the service are decrypted, and let through."""
    return policy(
        segment("hq", "127.0.0.1/32", rules=[rule("no-such-model", "block", services=["chatgpt"], models=("none-*",))]),
        services=[CHATGPT],
    )


def run(folder: Path, test: Callable[[Filter, Origin], Awaitable[None]], *, trusted: bool) -> None:
    async def main() -> None:
        authority, stranger = OriginCA(folder), OriginCA(_made(folder / "stranger"))
        origin = Origin(context=(authority if trusted else stranger).context("chatgpt.com"))
        names = {"chatgpt.com": "127.0.0.1", "inside.test": "10.1.2.3"}
        async with origin.serving(), filtering(folder, inspected(), names, upstream_ca=authority.path) as filter_:
            await test(filter_, origin)

    asyncio.run(main())


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("body", [(), ("--data-binary", "@-")], ids=["without a body", "with a large one"])
def test_a_certificate_that_nobody_signed_gives_our_page(tmp_path: Path, version: str, body: tuple[str, ...]) -> None:
    """Control: with the right authority the same request passes."""

    async def refused(filter_: Filter, origin: Origin) -> None:
        url = f"https://chatgpt.com:{origin.port}/"
        answer = await filter_.curl(version, *BROWSER, *body, url, stdin=bytes(3_000_000))
        assert (answer.status, answer.version) == (502, version.removeprefix("--http"))
        assert "mitmproxy" not in str(answer.headers).lower() + answer.text.lower()
        assert "chatgpt.com" in answer.text
        assert "certificate" in answer.text.lower()
        assert origin.requests == []
        assert filter_.count("proxy_upstream_failures_total", segment="hq", reason="certificate") == 1

    async def passed(filter_: Filter, origin: Origin) -> None:
        answer = await filter_.curl(version, *BROWSER, f"https://chatgpt.com:{origin.port}/")
        assert (answer.status, answer.text) == (200, "origin speaking")

    run(_made(tmp_path / "bad"), refused, trusted=False)
    run(_made(tmp_path / "good"), passed, trusted=True)


def test_an_origin_that_cannot_be_reached_gives_our_page(tmp_path: Path) -> None:
    async def test(filter_: Filter, _: Origin) -> None:
        for url in (f"https://chatgpt.com:{dead_port()}/", f"http://chatgpt.com:{dead_port()}/", "http://inside.test/"):
            answer = await filter_.curl(*BROWSER, url)
            assert (answer.status, answer.headers["content-type"]) == (502, "text/html; charset=utf-8"), url
            assert "mitmproxy" not in str(answer.headers).lower() + answer.text.lower()

    run(tmp_path, test, trusted=True)
