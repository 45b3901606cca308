"""A person at a real browser: reads, confirms, explains, asks; as a proxied client and as one that DNS led here.

With ``UPDATE_GOLDEN=1`` the pictures of the documentation are taken anew.
"""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from sumun.policy.engine import Policy
from tests.support.browser import CHROMIUM, Browser
from tests.support.builders import DEEPSEEK, policy, rule, segment, service
from tests.support.forms import Desk, serving
from tests.support.origins import Origin, OriginCA

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; install the package `chromium`"),
]
IMAGES = Path(__file__).parents[2] / "docs" / "images"
CHAT, SEEK = "talk.example", "deepseek.com"
TALK = service("talk", CHAT)
ORIGIN = "127.0.0.77"
REASON = "Comparing public summaries for the yearly report <b>&amp;"
PRESS = "document.querySelector('form button').click()"


def office(**of_justify: str) -> Policy:
    hour = timedelta(hours=1)
    rules = [
        rule("think", "warn", services=["talk"], ttl=hour),
        rule("why", "justify", services=["deepseek"], ttl=hour, **of_justify),
        rule("never", "block", domains=["blocked.example"]),
    ]
    return policy(segment("office", "127.0.0.0/8", rules=rules), services=[TALK, DEEPSEEK])


def flags(desk: Desk, way: str, language: str) -> list[str]:
    """Chromium as a client of this kind; it need not trust our authority, which is not what is tested here."""
    common = [
        "--ignore-certificate-errors",
        "--disable-features=HttpsUpgrades",
        f"--accept-lang={language}",
        f"--lang={language}",
    ]
    if way.startswith("proxied"):
        return [*common, f"--proxy-server=http://127.0.0.1:{desk.filter.port}"]
    http, https = desk.filter.http_port, desk.filter.https_port
    names = [f"MAP {name}:80 127.0.0.1:{http},MAP {name}:443 127.0.0.1:{https}" for name in (CHAT, SEEK)]
    return [*common, f"--host-resolver-rules={','.join(names)}"]


@pytest.mark.skipif(os.geteuid() != 0, reason="the origins of clients that DNS led here are at ports 80 and 443")
@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("way", ["proxied http", "proxied https", "steered http", "steered https"])
def test_one_click_continues_and_the_address_survives(tmp_path: Path, way: str, language: str) -> None:
    async def scenario() -> None:
        secure = way.endswith("https")
        ca = OriginCA(tmp_path)
        origin = Origin(address=ORIGIN, context=ca.context(CHAT, alpn=("http/1.1",)) if secure else None)
        async with (
            origin.serving(443 if secure else 80),
            serving(tmp_path, office(), {CHAT: ORIGIN}, upstream_ca=ca.path) as desk,
        ):
            await asyncio.to_thread(visit, desk, f"{'https' if secure else 'http'}://{CHAT}/c/42?q=a%20b#part")
            paths = [request.path for request in origin.requests if "favicon" not in request.path]
            assert paths == ["/c/42?q=a%20b"] * 2

    def visit(desk: Desk, url: str) -> None:
        with Browser(tmp_path / "profile", *flags(desk, way, language)) as browser:
            browser.show(url)
            assert browser.evaluate("location.href") == url
            assert browser.evaluate("document.documentElement.lang") == language
            browser.follow(PRESS)
            assert browser.evaluate("location.href.split('#')[0]") == url.removesuffix("#part")
            assert browser.evaluate("document.body.innerText") == "origin speaking"
            browser.show("about:blank")
            browser.show(url)
            assert browser.evaluate("document.body.innerText") == "origin speaking"

    asyncio.run(scenario())


def test_a_reason_is_typed_approved_and_used(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Origin().serving() as origin,
            serving(tmp_path, office(approver="Security Desk"), {SEEK: "127.0.0.1"}) as desk,
        ):
            await asyncio.to_thread(visit, desk, f"http://{SEEK}:{origin.port}/a?b=c", asyncio.get_running_loop())

    def visit(desk: Desk, url: str, loop: asyncio.AbstractEventLoop) -> None:
        with Browser(tmp_path / "profile", *flags(desk, "proxied", "en")) as browser:
            browser.show(url)
            browser.evaluate(PRESS)
            assert browser.evaluate("document.querySelector('form').checkValidity()") is False, "nothing was typed yet"
            browser.evaluate("document.querySelector('#purpose').value = 'research'")
            browser.evaluate(f"document.querySelector('#reason').value = {REASON!r}")
            browser.follow(PRESS)
            assert browser.evaluate("location.href") == url
            assert "Your request waits for approval (Security Desk)" in browser.evaluate("document.body.innerText")
            (asked,) = desk.store.waiting()
            assert asked.reason == REASON
            assert desk.store.approve(asked.id, desk.clock(), by="Park")
            asyncio.run_coroutine_threadsafe(desk.watch.look(), loop).result(10)
            browser.follow("document.querySelector('a.button').click()")
            assert browser.evaluate("document.body.innerText") == "origin speaking"
            desk.clock.pass_(hours=1)
            browser.show(url)
            assert "Say why you need" in browser.evaluate("document.body.innerText")

    asyncio.run(scenario())


def test_a_review_is_asked_for_without_a_script(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, office()) as desk:
            await asyncio.to_thread(visit, desk)
            (review,) = desk.store.reviews()
            assert review.text == REASON
            assert review.incident == "incident-1"

    def visit(desk: Desk) -> None:
        with Browser(tmp_path / "profile", *flags(desk, "proxied", "en")) as browser:
            browser.call("Emulation.setScriptExecutionDisabled", value=True)
            browser.show("http://blocked.example/")
            browser.evaluate("document.querySelector('details').open = true")
            browser.evaluate(f"document.querySelector('#reason').value = {REASON!r}")
            browser.follow(PRESS)
            assert "Your request for a review was received" in browser.evaluate("document.body.innerText")
            assert browser.evaluate("location.pathname") == "/.well-known/sumun/review"

    asyncio.run(scenario())


def test_a_page_of_another_site_cannot_confirm(tmp_path: Path) -> None:
    """It can neither frame the page, nor read its form, nor send one of its own."""
    evil = b"""<!doctype html><iframe src="http://talk.example/"></iframe>
        <form method=post action="http://talk.example/.well-known/sumun/acknowledge">
        <input name=ticket value=x></form>"""

    async def attacker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % len(evil) + evil)
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(attacker, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, serving(tmp_path, office(), {"evil.example": "127.0.0.1"}) as desk:
            await asyncio.to_thread(visit, desk, f"http://evil.example:{port}/")
            assert desk.store.grants(desk.clock()) == []

    def visit(desk: Desk, url: str) -> None:
        with Browser(tmp_path / "profile", *flags(desk, "proxied", "en")) as browser:
            browser.show(url)
            assert any("frame-ancestors" in text for text in browser.complaints())
            read = "fetch('http://talk.example/', {headers: {accept: 'text/html'}}).then(r => r.text(), e => 'refused')"
            found = browser.evaluate(read)
            assert "ticket" not in found
            assert "<form" not in found
            browser.follow("document.querySelector('form').submit()")
            assert "This form" in browser.evaluate("document.body.innerText")

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["warn-page-en", "warn-page-ko", "justify-page-en", "justify-page-ko-dark"])
def test_pictures_for_the_documentation(tmp_path: Path, name: str) -> None:
    action, _, language, *scheme = name.split("-")

    async def scenario() -> None:
        async with serving(tmp_path, office(approver="Security Desk")) as desk:
            await asyncio.to_thread(visit, desk, CHAT if action == "warn" else SEEK)

    def visit(desk: Desk, host: str) -> None:
        with Browser(tmp_path / "profile", *flags(desk, "proxied", language)) as browser:
            browser.show(f"http://{host}/", width=920, height=600, dark=bool(scheme))
            folder = IMAGES if os.environ.get("UPDATE_GOLDEN") else tmp_path
            browser.screenshot(folder / f"{name}.png")
            assert (folder / f"{name}.png").stat().st_size > 20_000
            assert (IMAGES / f"{name}.png").exists()

    asyncio.run(scenario())
