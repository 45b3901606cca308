"""A third language is one file, and may be written from right to left: shown with one that is put beside the others.

The package is copied, a file is added, and ``sumun pages render`` writes the pages of all languages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import configs
from tests.support.axe import source, violations
from tests.support.browser import CHROMIUM, Browser
from tests.support.logos import SVG
from tests.support.project import ROOT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; install the package `chromium`"),
]
TEXT = "هذا نص تجريبي باللغة العربية"
PAGES = ["block", "warn", "justify-approver", "justify-pending", "failure-filter-failure", "rule-office-own-words"]


def in_arabic(value: Any, number: Iterator[int]) -> Any:
    """Every text of a language file in Arabic letters, with a number of its own; the names in braces stay."""
    if isinstance(value, dict):
        return {key: in_arabic(each, number) for key, each in value.items()}
    if isinstance(value, list):
        return [in_arabic(each, number) for each in value]
    places = "".join(f" {{{part.partition('}')[0]}}}" for part in str(value).split("{")[1:])
    return f"{TEXT} {next(number)}{places}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered pages of a filter that knows Arabic besides."""
    folder = tmp_path_factory.mktemp("languages")
    shutil.copytree(ROOT / "addon", folder / "addon", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "blocklists").symlink_to(ROOT / "blocklists")
    languages = folder / "addon" / "sumun" / "pages" / "languages"
    english = yaml.safe_load((languages / "en.yaml").read_text("utf-8"))
    arabic = in_arabic(english, count(1)) | {"direction": "rtl"}
    (languages / "ar.yaml").write_text(yaml.safe_dump(arabic, allow_unicode=True), "utf-8")
    (folder / "logo.svg").write_bytes(SVG)
    reason, notice = "Ask the desk first.", {"en": "Read the notice.", "ar": TEXT}
    rules = [{"id": "own-words", "action": "justify", "services": ["deepseek"], "reason": {"en": reason, "ar": TEXT}}]
    office = {"networks": ["127.0.0.0/8"], "notice": notice, "rules": rules}
    name, logo = {"en": "Ministry", "ar": "وزارة"}, str(folder / "logo.svg")
    organisation = {"name": name, "contact": "desk@ministry.example", "logo": logo}
    config = configs.variant(state=str(folder / "state"), segments={"office": office}, organisation=organisation)
    path = configs.write(folder / "sumun.yaml", config)
    command = [sys.executable, "-m", "sumun", "pages", "render", str(folder / "out"), "-c", str(path)]
    environment = os.environ | {"PYTHONPATH": str(folder / "addon")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def test_there_is_a_page_of_every_state_in_the_new_language(pages: Path) -> None:
    names = {path.name.removesuffix(".html").rpartition(".") for path in pages.glob("*.*.html")}
    states = {tag: {name for name, _, other in names if other == tag} for tag in ("en", "ko", "ar")}
    assert states["ar"] == states["en"] == states["ko"]
    assert len(states["ar"]) > 25


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_from_right_to_left_it_fits_and_what_is_latin_stays_in_order(
    browser: Browser, pages: Path, tmp_path: Path, name: str, dark: bool
) -> None:
    browser.show(f"file://{pages}/{name}.ar.html", width=320, dark=dark)
    assert browser.evaluate("[document.documentElement.lang, document.documentElement.dir]") == ["ar", "rtl"]
    assert browser.evaluate("document.documentElement.scrollWidth") == 320
    assert browser.evaluate("getComputedStyle(document.querySelector('h1')).direction") == "rtl"
    lefts = browser.evaluate("[...document.querySelectorAll('.incident span')].map(e => [e.offsetTop, e.offsetLeft])")
    groups = [left for top, left in lefts[:4] if top == lefts[0][0]]
    assert groups == sorted(groups), "the groups of the number are read from left to right"
    assert browser.evaluate("getComputedStyle(document.querySelector('.host bdi')).direction") == "ltr"
    if source():
        browser.evaluate("document.querySelectorAll('details').forEach(found => { found.open = true })")
        assert violations(browser) == []
    browser.screenshot(tmp_path / "page.png")


def test_wide_and_on_paper_the_labels_stand_on_the_right(browser: Browser, pages: Path) -> None:
    for media in ("", "print"):
        browser.show(f"file://{pages}/rule-office-own-words.ar.html", width=900, media=media)
        ends = "['dt', 'dd'].map(name => document.querySelector(`.details ${name}`).getBoundingClientRect().x)"
        label, text = browser.evaluate(ends)
        assert label > text
    assert browser.evaluate("getComputedStyle(document.querySelector('.button')).display") == "none"
