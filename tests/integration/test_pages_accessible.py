"""Every page in every state: axe finds nothing, the page fits a narrow window, and no rule of its own is broken."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from sumun.model.rule import Action
from sumun.pages.gallery import Shown, gallery
from tests.support.axe import source, violations
from tests.support.browser import CHROMIUM, Browser
from tests.support.builders import CHATGPT, NOON, rule, segment
from tests.unit.pages.cases import ORGANISATION

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; install the package `chromium`"),
]
SEGMENT = segment("office", "10.0.0.0/8", rules=[rule("own-words", Action.WARN, services=["chatgpt"])])
SHOWN: dict[str, Shown] = {
    f"{shown.name}.{shown.language}": shown
    for shown in gallery(
        segments=[SEGMENT], rules=[], services={"chatgpt": CHATGPT}, organisation=ORGANISATION, at=NOON
    )
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = SHOWN[self.path[1:]].page
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
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_the_gallery_has_every_state_in_every_language() -> None:
    names = {shown.name for shown in SHOWN.values()}
    assert {"block", "warn", "justify", "justify-approver", "justify-pending", "justify-denied"} <= names
    assert len(SHOWN) == 2 * len(names)
    assert len(names) >= 25


@pytest.mark.parametrize("name", SHOWN)
def test_a_page_fits_a_narrow_window(browser: Browser, site: str, name: str) -> None:
    browser.show(f"{site}/{name}", width=320)
    assert browser.evaluate("document.documentElement.scrollWidth") == 320
    complaints = [text for text in browser.complaints() if not text.startswith("Failed to load resource: the server")]
    assert complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", SHOWN)
def test_axe_finds_nothing(browser: Browser, site: str, name: str, dark: bool) -> None:
    if not source():
        pytest.skip("axe-core cannot be fetched: npm is missing, or reaches no registry")
    browser.show(f"{site}/{name}", width=400, dark=dark)
    browser.evaluate("document.querySelectorAll('details').forEach(found => { found.open = true })")
    assert violations(browser) == []
