"""What a website's script, its pictures and its sockets are told when the proxy stops them, and what gRPC is."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest

from sumun.policy.engine import Policy
from tests.support.browser import CHROMIUM, Browser
from tests.support.builders import policy, rule, segment
from tests.support.forms import Desk, serving

pytestmark = pytest.mark.integration
WEBSITE, STOPPED = "site.example", "stopped.example"
_FETCH = """fetch('http://stopped.example/v1/chat/completions', {
    method: 'POST', headers: {'content-type': 'application/json', 'x-title': 'x'}, body: '{"secret": 1}',
    credentials: 'include',
}).then(async r => ({status: r.status, body: await r.json(), incident: r.headers.get('x-sumun-incident'),
                     retry: r.headers.get('x-should-retry')}), e => ({failed: String(e)}))"""
_XHR = """new Promise(done => {
    const call = new XMLHttpRequest();
    call.open('PUT', 'http://stopped.example/api/items');
    call.setRequestHeader('accept', 'application/json');
    call.onload = () => done({status: call.status, body: JSON.parse(call.responseText)});
    call.onerror = () => done({failed: true});
    call.send('x');
})"""
_EMBEDDED = """Promise.all(Object.entries({
    img: e => { e.src = 'http://stopped.example/a.png' }, script: e => { e.src = 'http://stopped.example/a.js' },
    link: e => { e.rel = 'stylesheet'; e.href = 'http://stopped.example/a.css' },
    video: e => { e.src = 'http://stopped.example/a.mp4' },
}).map(([name, lead]) => new Promise(done => {
    const element = document.createElement(name);
    element.onerror = () => done(name);
    element.onload = element.onloadeddata = () => done('loaded ' + name);
    lead(element);
    document.body.append(element);
})))"""
_FONT = """new FontFace('x', 'url(http://stopped.example/a.woff2)').load().then(() => 'loaded', e => e.name)"""
_SOCKET = """new Promise(done => {
    const socket = new WebSocket('ws://stopped.example/live');
    socket.onopen = () => done('opened');
    socket.onclose = event => done(event.code);
})"""


def office() -> Policy:
    rules = [rule("never", "block", domains=[STOPPED], reference="Notice 7", authority="Security Office")]
    return policy(segment("secret-segment", "127.0.0.0/8", rules=rules))


async def website(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b"<!doctype html><title>a site</title><body>"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    writer.write(head + body)
    writer.close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; install the package `chromium`")
def test_a_websites_own_error_handler_sees_the_answer_and_learns_no_rule(tmp_path: Path) -> None:
    found: dict[str, Any] = {}

    async def scenario() -> None:
        server = await asyncio.start_server(website, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, serving(tmp_path, office(), {WEBSITE: "127.0.0.1"}) as desk:
            await asyncio.to_thread(visit, desk, f"http://{WEBSITE}:{port}/")
            assert not [event for event in desk.filter.events.seen if event.outcome.segment != "secret-segment"]

    def visit(desk: Desk, url: str) -> None:
        proxy = f"--proxy-server=http://127.0.0.1:{desk.filter.port}"
        with Browser(tmp_path / "profile", proxy, "--disable-features=HttpsUpgrades") as browser:
            browser.show(url)
            for name, script in {
                "fetch": _FETCH, "xhr": _XHR, "embedded": _EMBEDDED, "font": _FONT, "socket": _SOCKET,
            }.items():  # fmt: skip
                found[name] = browser.evaluate(script)

    asyncio.run(scenario())
    fetched = found["fetch"]
    assert (fetched.get("status"), fetched.get("retry")) == (403, "false"), fetched
    assert fetched["body"]["error"]["code"] == "blocked_by_policy"
    assert fetched["incident"] == fetched["body"]["error"]["incident"]
    assert found["xhr"]["status"] == 403
    ours = ("secret-segment", "Notice 7", "Security Office", "Example Ministry")
    for body in (fetched["body"], found["xhr"]["body"]):
        assert "this network" in str(body)
        assert not [word for word in ours if word in str(body)]
    assert found["embedded"] == ["img", "script", "link", "video"], "each says that it failed"
    assert found["font"] in ("NetworkError", "SyntaxError")
    assert found["socket"] == 1006, "refused before the upgrade"


def test_grpc_is_denied_with_our_message(tmp_path: Path) -> None:
    grpc: Any = importlib.import_module("grpc")  # it has no types

    async def scenario() -> None:
        async with serving(tmp_path, office()) as desk:
            await asyncio.to_thread(call, desk)
            assert len(desk.filter.events.seen) == 1, "no retry"

    def call(desk: Desk) -> None:
        trusted = grpc.ssl_channel_credentials(desk.filter.ca.read_bytes())
        options = [("grpc.http_proxy", f"http://127.0.0.1:{desk.filter.port}")]
        with grpc.secure_channel(f"{STOPPED}:443", trusted, options=options) as channel:
            method = channel.unary_unary("/google.ai.Generative/Generate", bytes, bytes)
            with pytest.raises(grpc.RpcError) as raised:
                method(b"hello", timeout=20)
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert "This site is not available on this network" in raised.value.details()
        assert "incident-1" in raised.value.details()

    asyncio.run(scenario())
