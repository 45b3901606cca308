from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.pages.clean import clean, paragraphs, token

ANY = st.text(st.characters(categories=None), max_size=80)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("chat.example", "chat.example", id="control"),
        pytest.param("a\r\nset-cookie: x", "a set-cookie: x", id="line ends"),
        pytest.param("a\x00b\x1bc", "a\ufffdb\ufffdc", id="controls"),
        pytest.param("moc.elpmaxe\u202e", "moc.elpmaxe\ufffd", id="right-to-left override"),
        pytest.param("a\udcff", "a\ufffd", id="undecodable octet"),
        pytest.param("x" * 40, "x" * 29 + "…", id="too long"),
        pytest.param("한국어 پارسی\u200cها", "한국어 پارسی\u200cها", id="joiners that languages need"),
    ],
)
def test_hostile_text_becomes_fit_to_show(text: str, shown: str) -> None:
    assert clean(text, 30) == shown


@given(ANY)
def test_what_is_clean_is_bounded_and_encodable(text: str) -> None:
    found = clean(text, 20)
    assert len(found) <= 20
    assert found.encode().decode() == found
    assert "\n" not in found


def test_clean_of_nothing_is_nothing() -> None:
    assert clean("", 20) == ""


def test_paragraphs_keep_lines_and_drop_empty_ones() -> None:
    assert paragraphs("one\r\n\n  two  \n \nthree", 100) == ("one", "two", "three")
    assert paragraphs("x" * 3000, 2000) == ("x" * 2000,)


@given(ANY)
def test_a_token_fits_into_a_header(text: str) -> None:
    found = token(text)
    assert found.isascii()
    assert not set(found) & set(" \r\n\t:;,\"'<>")
    assert len(found) <= 64
