"""The pages in a real browser: every action, both languages, light and dark, narrow and wide, printed.

With ``UPDATE_GOLDEN=1`` the pictures of the documentation are taken anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from struct import unpack
from threading import Thread
from typing import Any

import pytest

from sumun.config.logo import read_logo
from sumun.model.rule import Action, Rule
from sumun.pages.render import Asked, Failure, Page
from tests.support.browser import CHROMIUM, Browser
from tests.support.logos import SVG, png
from tests.unit.pages.cases import BLOCKED, BROWSER, INCIDENT, ORGANISATION, answer, asked, failure

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; install the package `chromium`"),
]
IMAGES = Path(__file__).parents[2] / "docs" / "images"
EXPECTED_COMPLAINT = "Failed to load resource: the server responded with a status of"
LONG = replace(BLOCKED, rule=Rule("r" * 100, Action.BLOCK, reference="https://law.example/" + "x" * 300))


def page_of(path: str, language: str) -> Page:
    """``/block`` and so on; with a host that is as long as a host can be for ``/long``."""
    name = path.removeprefix("/")
    if name == "long":
        return answer(Asked("x" * 253, "/", "GET", BROWSER, language), LONG)
    what = asked(accept=BROWSER, accept_language=language)
    if name.startswith("logo-"):
        logo = read_logo(SVG if name == "logo-svg" else png())
        return answer(what, organisation=replace(ORGANISATION, logo=logo))
    if name in set(Failure):
        return failure(what, Failure(name))
    return answer(what, replace(BLOCKED, action=Action(name)))


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        language, _, name = self.path[1:].partition("/")
        page = page_of(name, language)
        self.send_response(page.status)
        for header in (*page.headers, ("content-length", str(len(page.body)))):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(page.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server gives it
        """Keep the test's output quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile"), "--host-resolver-rules=MAP *.example 127.0.0.1") as browser:
        yield browser


PAGES = ["block", "warn", "justify", "long", Failure.FILTER]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_and_breaks_no_rule_of_its_own(
    browser: Browser, site: str, tmp_path: Path, name: str, language: str, width: int, dark: bool
) -> None:
    browser.show(f"{site}/{language}/{name}", width=width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    assert all(text.startswith(EXPECTED_COMPLAINT) for text in browser.complaints())
    # The style sheet applied, and in the scheme asked for: the policy's hash is the sheet's.
    assert style(browser, "main", "backgroundColor") == ("rgb(25, 33, 42)" if dark else "rgb(255, 255, 255)")
    picture = tmp_path / "page.png"
    browser.screenshot(picture)
    assert unpack(">II", picture.read_bytes()[16:24])[0] == width


def test_one_click_selects_the_whole_incident(browser: Browser, site: str) -> None:
    browser.show(f"{site}/en/block")
    click(browser, ".incident span")
    assert browser.evaluate("getSelection().toString()") == INCIDENT


@pytest.mark.parametrize("host", ["127.0.0.1", "stopped.example"], ids=["a secure origin", "plain http"])
def test_a_button_copies_the_incident(browser: Browser, site: str, host: str) -> None:
    """Where there is no Clipboard API, which needs a secure origin, by the older command."""
    browser.show(f"{site.replace('127.0.0.1', host)}/ko/block")
    assert browser.evaluate("isSecureContext") is (host == "127.0.0.1")
    assert all(text.startswith(EXPECTED_COMPLAINT) for text in browser.complaints()), "the policy let it run"
    browser.evaluate("document.addEventListener('copy', () => { window.seen = getSelection().toString() })")
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    click(browser, ".copy")
    said = """new Promise(done => {
        const place = document.querySelector('.incident [role]');
        const look = () => place.innerText ? done(place.innerText) : setTimeout(look, 20);
        look();
    })"""
    assert browser.evaluate(said) == "복사했습니다"
    copied = "navigator.clipboard.readText()" if host == "127.0.0.1" else "window.seen"
    assert browser.evaluate(copied) == INCIDENT


def test_without_a_script_there_is_no_button_and_nothing_is_missing(browser: Browser, site: str) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.show(f"{site}/en/block")
        assert browser.evaluate("document.querySelectorAll('.copy').length") == 0
        assert INCIDENT in browser.evaluate("document.body.innerText")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["logo-svg", "logo-png"])
def test_a_logo_is_shown_and_nothing_is_fetched(
    browser: Browser, site: str, tmp_path: Path, name: str, dark: bool
) -> None:
    browser.show(f"{site}/en/{name}", width=320, dark=dark)
    size = "(i => [i.complete, i.naturalWidth > 0, i.height])(document.querySelector('header img'))"
    complete, drawn, height = browser.evaluate(size)
    assert complete
    assert drawn
    assert 0 < height <= 48
    assert browser.evaluate("document.documentElement.scrollWidth") == 320
    assert all(text.startswith(EXPECTED_COMPLAINT) for text in browser.complaints())
    fetched = {e["params"]["request"]["url"][:21] for e in browser.events if e["method"] == "Network.requestWillBeSent"}
    assert {url for url in fetched if not url.startswith("data:image/")} == {site[:21]}


def test_the_button_is_reached_by_keyboard_seen_and_large_enough(browser: Browser, site: str) -> None:
    """WCAG 2.2: 2.1.1, 2.4.7 and, with room to spare, 2.5.8."""
    browser.show(f"{site}/ko/block", width=320)
    press_tab(browser)
    assert browser.evaluate("document.activeElement.className") == "copy"
    assert browser.evaluate("document.activeElement.getBoundingClientRect().height") >= 24
    press_tab(browser)
    assert browser.evaluate("document.activeElement.href").startswith("mailto:help@ministry.example?")
    assert style(browser, ".button", "outlineStyle") == "solid"
    assert browser.evaluate("document.activeElement.getBoundingClientRect().height") >= 44


def test_korean_words_are_not_broken(browser: Browser, site: str) -> None:
    browser.show(f"{site}/ko/block")
    assert style(browser, "h1", "wordBreak") == "keep-all"


def test_on_paper_it_is_black_on_white_without_buttons(browser: Browser, site: str) -> None:
    browser.show(f"{site}/en/warn", dark=True, media="print")
    assert style(browser, "main", "backgroundColor") == "rgb(255, 255, 255)"
    assert style(browser, "h1", "color") == "rgb(0, 0, 0)"
    assert style(browser, ".button", "display") == "none"
    assert INCIDENT in browser.evaluate("document.body.innerText")


@pytest.mark.parametrize(("language", "dark"), [("en", False), ("ko", False), ("ko", True)])
def test_pictures_for_the_documentation(browser: Browser, site: str, tmp_path: Path, language: str, dark: bool) -> None:
    browser.show(f"{site}/{language}/block", width=920, height=600, dark=dark)
    name = f"block-page-{language}{'-dark' if dark else ''}.png"
    folder = IMAGES if os.environ.get("UPDATE_GOLDEN") else tmp_path
    browser.screenshot(folder / name)
    assert (folder / name).stat().st_size > 20_000
    assert (IMAGES / name).exists()


def press_tab(browser: Browser) -> None:
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)


def click(browser: Browser, selector: str) -> None:
    """With the mouse, which a script cannot pretend."""
    x, y = browser.evaluate(f"""(() => {{
        const found = document.querySelector({selector!r});
        found.scrollIntoView({{block: 'center'}});
        const box = found.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    }})()""")
    for kind in ("mousePressed", "mouseReleased"):
        browser.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)


def style(browser: Browser, selector: str, name: str) -> Any:
    return browser.evaluate(f"getComputedStyle(document.querySelector({selector!r})).{name}")
