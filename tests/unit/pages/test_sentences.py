from __future__ import annotations

from dataclasses import replace

from sumun.model.organisation import Organisation
from sumun.model.rule import Action
from sumun.pages.sentences import message, plain_text
from tests.unit.pages.cases import BLOCKED, INCIDENT, told


def test_a_message_says_what_why_whom_and_under_which_number() -> None:
    assert message(told()) == (
        "DeepSeek is not available on this network. Generative AI keeps what is typed into it outside our control. "
        "Use the approved assistant instead. None of your data left this network. "
        "Do you need it for your work? Ask for a review and give the incident number. "
        f"Contact: help@ministry.example; Incident number: {INCIDENT}"
    )


def test_plain_text_has_a_thought_a_line_and_ends_what_is_copied_with_nothing() -> None:
    lines = plain_text(told(language="ko")).splitlines()
    assert lines[0] == "이 네트워크에서는 DeepSeek 서비스를 이용할 수 없습니다."
    assert lines[-2:] == ["문의처: help@ministry.example", f"문의 번호: {INCIDENT}"]


def test_a_warning_says_that_one_cannot_go_on_from_here() -> None:
    warned = told(replace(BLOCKED, action=Action.WARN))
    assert warned.notice in message(warned)
    assert "cannot let you continue" in warned.notice


def test_without_a_contact_there_is_the_administrator() -> None:
    text = message(told(organisation=Organisation()))
    assert "Ask your network administrator" in text
    assert "Contact" not in text
