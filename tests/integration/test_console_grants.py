"""An administrator at the console with a real browser: reads, decides, and is attacked meanwhile.

With ``UPDATE_GOLDEN=1`` the pictures of the documentation are taken anew.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sumun.console.console import Console
from sumun.console.grants import GrantsPage
from sumun.console.view import LoadedView
from sumun.model.grant import Change, Grant, GrantChanged, GrantKind, Justification, ReviewRequest, Subject
from sumun.model.rule import Exemption
from sumun.store.desk import Desk
from sumun.store.store import Form, Store, passing
from tests.support.axe import source, violations
from tests.support.browser import CHROMIUM, Browser
from tests.support.builders import NOON
from tests.support.forms import Clock
from tests.support.proxies import loopback_settings

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; install the package `chromium`"),
]
IMAGES = Path(__file__).parents[2] / "docs" / "images"
SUBJECT = Subject(ip_address("10.20.0.7"), "hq-network", "justify-generative-ai", "deepseek")
REASON = "Comparing the published summaries of foreign regulations for the yearly report; nothing internal is entered."
KOREAN = "공개된 외국 규제 요약을 비교하여 연례 보고서를 작성하려고 합니다."
REVIEW = "The approved tool cannot read drawings."
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@dataclass
class Office:
    store: Store
    console: Console
    told: list[GrantChanged] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.console.port}/grants"


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Office]:
    store, told, clock = Store.at("", folder), list[GrantChanged](), Clock()
    exemption = Exemption(
        "audit-2026", "gemini", NOON + timedelta(days=30), ip_network("10.30.0.0/24"), None, "Audit", "CISO"
    )
    view = LoadedView("5f1d0c2ab9e4", [], exemptions=(exemption,), zone=ZoneInfo("Asia/Seoul"))
    page = GrantsPage(desk=Desk(store, told.append), key=b"k" * 32, loaded=lambda: view, clock=clock)
    console = Console(
        settings=loopback_settings(folder), loaded=lambda: view, metrics_folder=folder, probes={}, clock=clock,
        areas=page.routes(),
    )  # fmt: skip
    await console.start()
    try:
        yield Office(store, console, told)
    finally:
        await console.stop()
        store.close()


def fill(store: Store) -> None:
    hour = timedelta(hours=1)
    asked = Justification(
        "1KA8-PGF8-T1V3-2R40", SUBJECT, "Security Desk", REASON, "research", 8 * 3600, NOON - hour / 4
    )
    theirs = replace(SUBJECT, client=ip_address("10.20.0.31"))
    for number, each in enumerate([
        asked, replace(asked, id="1KA8-PH2M-9QJ0-77XC", subject=theirs, reason=KOREAN, purpose="writing"),
    ]):  # fmt: skip
        store.ask(each, Form(f"j{number}", NOON + hour))
    never = replace(SUBJECT, client=ip_address("10.10.0.12"), segment="external-facing", rule="no-deepseek")
    store.ask_review(
        ReviewRequest(
            "1KA8-PGX1-W3D7-0AB9", never, "1KA8-PGWY-4T2S-Q1MN", "The approved tool cannot read drawings.", NOON
        ),
        Form("r", NOON + hour),
    )
    store.give(
        Grant(
            "1KA8-N000-AAAA-0001", GrantKind.EXEMPTION, NOON + 30 * hour, "chatgpt", client=ip_network("10.20.0.7"),
            reason="audit of the pilot", approver="Kim, CISO", given=NOON,
        ),
        NOON,
    )  # fmt: skip
    store.give(
        passing(GrantKind.ACKNOWLEDGEMENT, replace(theirs, rule="think-first", service="claude"), "1KA8-N000-AAAA-0002",
                NOON, NOON + hour),
        NOON,
    )  # fmt: skip


def press(verb: str, id_: str) -> str:
    return f"document.querySelector(`button[value='{verb} {id_}']`).click()"


def test_a_person_reads_approves_and_revokes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as office:
            fill(office.store)
            await asyncio.to_thread(visit, office)
            assert [(told.change, told.by) for told in office.told] == [
                (Change.GIVEN, "Park Ji-won"), (Change.REVOKED, "Park Ji-won"), (Change.CLOSED, "Park Ji-won"),
            ]  # fmt: skip
            assert [asked.id for asked in office.store.waiting()] == ["1KA8-PH2M-9QJ0-77XC"]

    def visit(office: Office) -> None:
        with Browser(tmp_path / "profile") as browser:
            browser.call("Emulation.setScriptExecutionDisabled", value=True)
            browser.show(office.url)
            assert REASON in browser.evaluate("document.body.innerText")
            browser.evaluate(press("approve", "1KA8-PGF8-T1V3-2R40"))
            assert browser.evaluate("document.querySelector('#by').validity.valueMissing"), "a name is asked for"
            browser.evaluate("document.querySelector('#by').value = 'Park Ji-won'")
            browser.follow(press("approve", "1KA8-PGF8-T1V3-2R40"))
            said = browser.evaluate("document.querySelector('[role=status]').innerText")
            assert said == "Approved: 10.20.0.7 may use deepseek until Tue 2026-01-06 05:00 KST."
            for verb, id_ in (("revoke", "1KA8-N000-AAAA-0001"), ("close", "1KA8-PGX1-W3D7-0AB9")):
                browser.follow(press(verb, id_))  # the name is still there
            assert "Requests for review (0)" in browser.evaluate("document.body.innerText")

    asyncio.run(scenario())


def test_enter_in_a_text_field_decides_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as office:
            fill(office.store)
            await asyncio.to_thread(visit, office)
            assert [told.change for told in office.told] == [Change.DENIED]

    def visit(office: Office) -> None:
        with Browser(tmp_path / "profile") as browser:
            browser.show(office.url)
            browser.evaluate("(f => { f.value = 'Park'; f.focus() })(document.querySelector('#by'))")
            sent = "document.querySelector('#desk').addEventListener('submit', () => { document.title = 'sent' })"
            browser.evaluate(sent)
            for kind in ("keyDown", "keyUp"):
                browser.call(
                    "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
                )
            assert browser.evaluate("document.title") != "sent"
            browser.follow(press("deny", "1KA8-PH2M-9QJ0-77XC"))
            said = browser.evaluate("document.querySelector('[role=status]').innerText")
            assert said == "Turned down: 10.20.0.31, deepseek.", "the control: a button does send"

    asyncio.run(scenario())


def test_a_stored_script_runs_nowhere(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as office:
            asked = Justification("J1", SUBJECT, SCRIPT, SCRIPT, SCRIPT[:60], 3600, NOON)
            office.store.ask(asked, Form("n1", NOON + timedelta(hours=1)))
            await asyncio.to_thread(visit, office)

    def visit(office: Office) -> None:
        with Browser(tmp_path / "profile") as browser:
            browser.show(office.url)
            assert browser.evaluate("document.title") == "Grants · Sumun console"
            assert SCRIPT in browser.evaluate("document.querySelector('blockquote').innerText")
            assert browser.evaluate("document.scripts.length + document.images.length") == 0
            assert browser.complaints() == []
            assert not [
                e for e in browser.events if "favicon" not in str(e) and e.get("method") == "Network.loadingFailed"
            ]

    asyncio.run(scenario())


def test_another_site_can_neither_read_frame_nor_decide(tmp_path: Path) -> None:
    def evil(target: str) -> bytes:
        return f"""<!doctype html><iframe src="{target}"></iframe>
            <form method=post action="{target}"><input name=ticket value=x><input name=by value=Mallory>
            <input name=do value="approve 1KA8-PGF8-T1V3-2R40"></form>""".encode()

    async def scenario() -> None:
        async with serving(tmp_path) as office:
            fill(office.store)

            async def attacker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                body = evil(office.url)
                head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % len(body) + body)
                writer.close()

            server = await asyncio.start_server(attacker, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            async with server:
                await asyncio.to_thread(visit, office, port)
            assert office.told == []

    def visit(office: Office, port: int) -> None:
        rules = f"MAP evil.example 127.0.0.1:{port},MAP rebound.example 127.0.0.1:{office.console.port}"
        with Browser(tmp_path / "profile", f"--host-resolver-rules={rules}") as browser:
            browser.show("http://evil.example/")
            assert any("frame-ancestors" in text for text in browser.complaints())
            assert browser.evaluate(f"fetch('{office.url}').then(r => r.text(), e => 'refused')") == "refused"
            browser.follow("document.querySelector('form').submit()")
            assert "From another website" in browser.evaluate("document.body.innerText")
            browser.show("http://rebound.example/grants")
            shown = browser.evaluate("document.body.innerText")
            assert "this host name is not served here" in shown
            assert "10.20.0.7" not in shown

    asyncio.run(scenario())


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_and_it_fits_a_narrow_window(tmp_path: Path, dark: bool) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as office:
            fill(office.store)
            await asyncio.to_thread(visit, office)

    def visit(office: Office) -> None:
        with Browser(tmp_path / "profile") as browser:
            for path in ("/", "/grants"):
                browser.show(office.url.removesuffix("/grants") + path, width=320, dark=dark)
                assert browser.evaluate("document.documentElement.scrollWidth") == 320
                if source():
                    assert violations(browser) == []
            if not source():
                pytest.skip("axe-core cannot be fetched: npm is missing, or reaches no registry")

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["console-grants", "console-grants-dark"])
def test_pictures_for_the_documentation(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as office:
            fill(office.store)
            await asyncio.to_thread(visit, office)

    def visit(office: Office) -> None:
        with Browser(tmp_path / "profile") as browser:
            browser.show(office.url, width=1100, height=700, dark=name.endswith("dark"))
            folder = IMAGES if os.environ.get("UPDATE_GOLDEN") else tmp_path
            browser.screenshot(folder / f"{name}.png")
            assert (folder / f"{name}.png").stat().st_size > 20_000
            assert (IMAGES / f"{name}.png").exists()

    asyncio.run(scenario())
