"""What a form said is read once, and is then fit for a log, a terminal and a page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.pages.offer import MAX_REASON, MIN_REASON, Purpose
from sumun.pages.said import BadText, Said, purpose, read_form, reason


def test_a_form_is_read() -> None:
    body = b"ticket=a.b%3D&purpose=research&reason=%ED%95%9C%EA%B8%80+x&other=1"
    assert read_form(body) == Said("a.b=", "한글 x", "research")


def test_the_first_of_equal_fields_counts() -> None:
    assert read_form(b"ticket=one&ticket=two") == Said("one")


@pytest.mark.parametrize("body", [b"", b"&" * 5000, b"a=b&" * 100, b"\xff\xfe", b"ticket"], ids=repr)
def test_what_is_no_form_says_nothing(body: bytes) -> None:
    assert read_form(body) == Said()


@given(st.binary(max_size=500))
def test_reading_never_fails(body: bytes) -> None:
    read_form(body)


@given(st.text(max_size=2 * MAX_REASON))
def test_a_reason_is_one_printable_line_or_refused(text: str) -> None:
    try:
        line = reason(text)
    except BadText:
        return
    assert MIN_REASON <= len(line) <= MAX_REASON
    assert line == " ".join(line.split())
    assert not any(ord(c) < 32 or ord(c) == 127 for c in line)


def test_white_space_is_collapsed_and_does_not_count() -> None:
    assert reason("we need it\r\n\r\n\tfor the   tender") == "we need it for the tender"
    with pytest.raises(BadText):
        reason("short" + " " * 50)


def test_a_purpose_is_one_of_the_choices() -> None:
    assert purpose("writing") is Purpose.WRITING
    with pytest.raises(BadText):
        purpose("Writing")
