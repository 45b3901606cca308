"""Guards that nothing of a request or a configuration becomes markup, and that the page stays whole and small."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.colour import Accent
from sumun.model.logo import MAX_LOGO, Logo
from sumun.model.organisation import Organisation
from sumun.model.rule import Action
from sumun.model.text import Text
from sumun.model.verdict import DataExposed
from sumun.pages.asked import Failure
from sumun.pages.html import STYLE, groups, html, style_hash
from sumun.pages.offer import Result
from sumun.pages.render import render_result
from sumun.pages.words import LANGUAGES
from tests.support.builders import NOON, rule, segment
from tests.unit.pages.cases import BLOCKED, BROWSER, INCIDENT, ORGANISATION, answer, asked, failure, fields, shown, told

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
VOID = frozenset({"meta", "path", "link", "br", "img"})


class Outline(HTMLParser):
    """Elements, attributes and text of a document; fails where a tag is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if not {"style", "script"} & set(self._open) else ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def names(self) -> set[str]:
        return {name for name, _ in self.elements}


KNOWN = Outline(shown()).names() | {"ol", "ul", "li", "h3", "blockquote"}


def hostile_page(text: str) -> str:
    decision = replace(
        BLOCKED,
        service=replace(BLOCKED.service, title=Text.of(text)) if BLOCKED.service else None,
        rule=rule(text, "block", reason=Text.of(text), reference=text, authority=text),
    )
    page = answer(
        asked(host=text, path=text, accept=BROWSER, accept_language=text),
        decision,
        organisation=Organisation(Text.of(text), text),
        segment=segment("s", "10.0.0.0/8", title=Text.of(text)),
        incident=text,
    )
    return page.body.decode()


def test_markup_is_shown_and_never_run() -> None:
    outline = Outline(hostile_page(MARKUP))
    assert outline.names() <= KNOWN
    # Control first: the text did reach the page. Heading, title, host, reason and details all hold it.
    assert outline.text.count(MARKUP) >= 7


@given(st.text(st.characters(categories=None), max_size=60))
def test_no_text_can_add_an_element_or_a_handler(text: str) -> None:
    outline = Outline(hostile_page(text))
    assert outline.names() <= KNOWN
    assert not any(name.startswith("on") or name == "style" for _, attrs in outline.elements for name in attrs)


@pytest.mark.parametrize("reference", ["javascript:alert(1)", 'https://x.example/"><script>', "data:text/html,x"])
def test_a_reference_links_to_nothing_but_https(reference: str) -> None:
    decision = replace(BLOCKED, rule=rule("r", "block", reference=reference))
    links = Outline(shown(decision, organisation=Organisation())).all("a")
    assert links == []


@pytest.mark.parametrize(("action", "language"), list(product(Action, sorted(LANGUAGES))))
def test_every_page_has_its_landmarks_and_says_its_language(action: Action, language: str) -> None:
    outline = Outline(shown(replace(BLOCKED, action=action), language))
    assert outline.all("html") == [{"lang": language, "dir": LANGUAGES[language].direction}]
    for landmark in ("header", "main", "footer", "h1", "title"):
        assert len(outline.all(landmark)) == 1
    ids = [attrs["id"] for _, attrs in outline.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    labels = [section["aria-labelledby"] for section in outline.all("section")]
    assert labels == ids
    assert all(svg["aria-hidden"] == "true" for svg in outline.all("svg"))


def test_a_page_shows_what_a_person_needs() -> None:
    text = Outline(shown()).text
    for needed in (
        "DeepSeek is not available", "chat.deepseek.com", "Generative AI keeps", "no-generative-ai",
        "Security notice 2025-02", "Military-use network", "None of your data", "5 January 2026, 12:00:00 UTC",
        INCIDENT, "help@ministry.example", "Example Ministry",
    ):  # fmt: skip
        assert needed in text


def test_data_that_left_are_told_before_anything_can_be_done() -> None:
    outline = Outline(shown(data_exposed=DataExposed.REQUEST_BODY))
    assert "What you entered may have reached the service" in outline.text
    assert {"class": "note left"} in outline.all("p")


@pytest.mark.parametrize(("kind", "language"), list(product(Failure, sorted(LANGUAGES))))
def test_every_failure_has_a_page(kind: Failure, language: str) -> None:
    page = failure(asked(accept=BROWSER, accept_language=language), kind)
    text = Outline(page.body.decode()).text
    assert LANGUAGES[language].failures[kind].heading in text
    assert INCIDENT in text
    assert page.status == {
        Failure.FILTER: 403, Failure.UPSTREAM_CERTIFICATE: 502, Failure.UPSTREAM_UNREACHABLE: 502
    }.get(kind, 400)  # fmt: skip


@pytest.mark.parametrize(("action", "language"), list(product(Action, sorted(LANGUAGES))))
def test_a_page_is_small_and_stands_alone(action: Action, language: str) -> None:
    page = shown(replace(BLOCKED, action=action), language)
    assert len(page.encode()) < 11_000
    outline = Outline(page)
    assert not outline.names() & {"link", "img", "iframe", "form", "object", "base"}
    assert outline.all("script") == [{}], "ours, and it loads nothing"
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_the_largest_page_is_under_30_kb() -> None:
    assert len(hostile_page("&" * 100_000).encode()) < 30_000


def test_a_logo_stands_in_the_page_unless_there_is_too_much_to_say() -> None:
    logo = Logo.of("image/png", b"x" * MAX_LOGO)
    page = shown(organisation=replace(ORGANISATION, logo=logo))
    assert Outline(page).all("img") == [{"src": logo.uri, "alt": ""}]
    assert len(page.encode()) < 30_000
    much = Text.of("가나다라마바사아자" * 222)
    decision = replace(BLOCKED, rule=rule("r", "block", reason=much))
    speaking = segment("s", "10.0.0.0/8", notice=much, logo=logo)
    page = shown(decision, "ko", segment=speaking)
    assert len(page.encode()) < 30_000
    assert Outline(page).all("img") == []
    assert page.count("가나다라마바사아자") > 440, "what is said comes first"


def test_a_segment_has_its_own_logo_colour_and_notice_on_every_page() -> None:
    logo, accent = Logo.of("image/png", b"lab"), Accent("#7a1f5c", "#ff9ad5")
    own = segment(
        "lab", "10.1.0.0/16", logo=logo, accent=accent, notice=Text.of("Ask the lab."), contact="x@lab.example"
    )
    what, given = asked(accept=BROWSER), {"organisation": ORGANISATION, "incident": INCIDENT, "at": NOON}
    pages = [
        answer(what, segment=own),
        failure(what, Failure.FILTER, segment=own),
        render_result(what, kind=Result.USED, back="/", segment=own, **given),
    ]
    for page in pages:
        text = page.body.decode()
        assert logo.uri in text
        assert "--accent:#7a1f5c" in text
        assert "Ask the lab." in text
        assert "x@lab.example" in text
        assert f"'{style_hash(accent)}'" in fields(page)["content-security-policy"]


def test_the_script_is_the_one_that_the_policy_names() -> None:
    page = answer(asked(accept=BROWSER))
    body = page.body.decode()
    inside = body[body.index("<script>") + len("<script>") : body.index("</script>")]
    digest = b64encode(sha256(inside.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in fields(page)["content-security-policy"]
    assert "<" not in inside


@pytest.mark.parametrize("accent", [None, Accent("#7a1f5c", "#ff9ad5")])
def test_the_style_sheet_is_the_one_that_the_policy_names(accent: Accent | None) -> None:
    page = answer(asked(accept=BROWSER), organisation=replace(ORGANISATION, accent=accent))
    body = page.body.decode()
    inside = body[body.index("<style>") + len("<style>") : body.index("</style>")]
    digest = b64encode(sha256(inside.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in fields(page)["content-security-policy"]
    assert f"sha256-{digest}" == style_hash(accent)
    assert accent is None or f"--accent:{accent.light};--on-accent:#ffffff" in inside


@pytest.mark.parametrize(
    ("incident", "pieces"),
    [
        ("0199f3c2-7b1e", ["0199f3c2-", "7b1e"]),
        ("k3v9q2xa7", ["k3v9", "q2xa", "7"]),
        ("", []),
        ("--a-", ["--", "a-"]),
    ],
)
def test_an_incident_is_cut_where_one_breathes(incident: str, pieces: list[str]) -> None:
    assert list(groups(incident)) == pieces


@given(st.text("abc-123", max_size=64))
def test_the_pieces_of_an_incident_are_the_incident(incident: str) -> None:
    assert "".join(groups(incident)) == incident


def test_a_language_from_right_to_left_turns_the_page_and_not_the_host() -> None:
    story = told()
    turned = Outline(html(replace(story, words=replace(story.words, direction="rtl"))).decode())
    assert turned.all("html")[0]["dir"] == "rtl"
    assert all(bdi.get("dir") == "ltr" for bdi in turned.all("bdi") if bdi.get("translate") == "no")
    assert not any(side in STYLE for side in ("margin-left", "margin-right", "padding-left", "padding-right", "left:"))
