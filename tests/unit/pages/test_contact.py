from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from sumun.pages.contact import contact_of, safe_link


def test_an_address_becomes_an_e_mail_with_subject_and_body() -> None:
    contact = contact_of("help@desk.example", subject="사건 & <1>", body="a\nb")
    link = urlsplit(contact.href)
    assert (link.scheme, link.path) == ("mailto", "help@desk.example")
    assert parse_qs(link.query) == {"subject": ["사건 & <1>"], "body": ["a\r\nb"]}
    assert contact.href.isascii()
    assert contact.is_mail


def test_a_web_address_becomes_a_link() -> None:
    contact = contact_of("https://desk.example/review?x=1", subject="s", body="b")
    assert contact.href == contact.label == "https://desk.example/review?x=1"
    assert not contact.is_mail


@pytest.mark.parametrize(
    "text",
    ["", "extension 1234", "javascript:alert(1)", "data:text/html,x", "http://desk.example", "https://", "https:// x",
     'https://desk.example/"onclick=', "a@b@c", "a b@desk.example", "help@desk.example?bcc=x@evil.example"],
)  # fmt: skip
def test_anything_else_is_text_and_never_a_link(text: str) -> None:
    assert contact_of(text, subject="s", body="b").href == ""


@pytest.mark.parametrize("text", ["https://law.example/3", "https://법.example/"])
def test_a_reference_may_be_a_link(text: str) -> None:
    assert safe_link(text) == text
