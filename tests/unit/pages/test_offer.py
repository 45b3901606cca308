"""What a page offers: the right form for the action and the state, and nothing where nothing can be done."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sumun.model.rule import Action
from sumun.model.text import Text
from sumun.pages.offer import Answer, Ask, Offer, Result
from sumun.pages.render import render_result
from sumun.pages.words import LANGUAGES
from tests.support.builders import NOON
from tests.unit.pages.cases import BLOCKED, BROWSER, INCIDENT, ORGANISATION, SEGMENT, answer, asked, data, fields, shown

WARN = Offer(Ask.ACKNOWLEDGE, "the.ticket", timedelta(hours=8))
JUSTIFY = Offer(Ask.JUSTIFY, "the.ticket", timedelta(days=2))
REVIEW = Offer(Ask.REVIEW, "the.ticket")


def page(action: Action, offer: Offer | None, language: str = "en", **more: Any) -> str:
    return shown(replace(BLOCKED, action=action), language, offer=offer, **more)


def forms(text: str) -> list[str]:
    return re.findall(r'<form method="post" action="([^"]+)">', text)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_warning_is_passed_with_one_button(language: str) -> None:
    text = page(Action.WARN, WARN, language)
    assert forms(text) == ["/.well-known/sumun/acknowledge"]
    assert 'name="ticket" value="the.ticket"' in text
    assert LANGUAGES[language].continue_button in text
    assert "<textarea" not in text


def test_it_says_for_how_long_and_for_what() -> None:
    assert "remembered for 8 hours, for this computer and DeepSeek" in page(Action.WARN, WARN)
    assert "remembered for 2 days" in page(Action.JUSTIFY, JUSTIFY)
    assert "remembered for 90 minutes" in page(Action.WARN, replace(WARN, length=timedelta(minutes=90)))
    assert "remembered for 60 seconds" in page(Action.WARN, replace(WARN, length=timedelta(minutes=1)))


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_justification_asks_for_purpose_and_reason(language: str) -> None:
    text, words = page(Action.JUSTIFY, JUSTIFY, language), LANGUAGES[language]
    assert forms(text) == ["/.well-known/sumun/justify"]
    assert 'minlength="20" maxlength="1000"' in text
    assert all(name in text for name in words.purposes.values())
    assert words.justify_button in text
    assert words.approval_button in page(Action.JUSTIFY, replace(JUSTIFY, approver="Desk"), language)


def test_while_it_waits_there_is_nothing_to_fill_in() -> None:
    text = page(Action.JUSTIFY, replace(JUSTIFY, approver="<Desk>", answer=Answer.PENDING))
    assert forms(text) == []
    assert "waits for approval (&lt;Desk&gt;)" in text
    assert forms(page(Action.JUSTIFY, replace(JUSTIFY, answer=Answer.DENIED))) == ["/.well-known/sumun/justify"]


def test_a_block_offers_a_review() -> None:
    assert forms(page(Action.BLOCK, REVIEW)) == ["/.well-known/sumun/review"]


@pytest.mark.parametrize("offer", [None, replace(WARN, available=False)], ids=["none", "store down"])
def test_where_nothing_can_be_remembered_the_page_says_so(offer: Offer | None) -> None:
    text = page(Action.WARN, offer)
    assert forms(text) == []
    assert LANGUAGES["en"].no_passing_on in text


def test_only_a_page_with_a_form_may_send_one() -> None:
    what = asked(accept=BROWSER)
    for offer, expected in ((WARN, "form-action 'self'"), (None, "form-action 'none'")):
        policy = fields(answer(what, replace(BLOCKED, action=Action.WARN), offer=offer))["content-security-policy"]
        assert expected in policy
        assert "unsafe-inline" not in policy


def test_a_program_is_told_where_a_person_can_go_on() -> None:
    told = data(answer(asked(accept="application/json"), replace(BLOCKED, action=Action.WARN), offer=WARN))
    assert "https://chat.deepseek.com/" in told["error"]["message"]
    assert told["error"]["continue_at"] == "https://chat.deepseek.com/"
    assert "ticket" not in str(told)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
@pytest.mark.parametrize("kind", Result)
def test_every_result_is_told_with_a_way_back(kind: Result, language: str) -> None:
    what = asked(accept=BROWSER, accept_language=language)
    found = render_result(what, kind=kind, back="/c?a=1&b=2", organisation=ORGANISATION, incident=INCIDENT, at=NOON)
    text = found.body.decode()
    assert LANGUAGES[language].results[kind].heading in text
    assert 'href="/c?a=1&amp;b=2"' in text
    assert (found.status == 200) is (kind is Result.REVIEW_ASKED)


def test_a_page_is_small_and_quickly_made() -> None:
    what = asked(accept=BROWSER)
    decision = replace(BLOCKED, action=Action.JUSTIFY)
    offer = replace(JUSTIFY, ticket="x" * 6000, approver="Desk")
    assert len(answer(what, decision, offer=offer).body) < 30_000
    began = time.process_time()
    for _ in range(200):
        answer(what, decision, offer=offer)
    assert (time.process_time() - began) / 200 < 0.003, (
        "1 ms on the machine it was measured on, and room for a slow one"
    )


def test_a_segments_own_notice_and_contact_stand_on_its_pages() -> None:
    own = replace(SEGMENT, notice=Text.of({"en": "Use <Helper> instead.\nCall 1234."}), contact="desk@lab.example")
    text = page(Action.BLOCK, None, segment=own)
    assert '<p dir="auto">Use &lt;Helper&gt; instead.</p>' in text
    assert "mailto:desk@lab.example?" in text
    assert ORGANISATION.contact not in text
