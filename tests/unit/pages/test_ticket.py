"""A ticket is worth something to one client, for one hour, unchanged."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.pages.offer import Ask
from sumun.pages.ticket import MAX_URL, NoTicket, Ticket, seal, unseal
from tests.support.builders import NOON

KEY, CLIENT = b"k" * 32, "10.0.0.7"
TICKET = Ticket(
    Ask.JUSTIFY, "office", "why", "chatgpt", "", "chatgpt.com", "/c/1?q=한글", "1KA8-PGF8-T1V3-2R40", 3600, "Desk ★",
    "nonce", int((NOON + timedelta(hours=1)).timestamp()),
)  # fmt: skip


def test_what_was_sealed_is_what_is_read() -> None:
    assert unseal(seal(TICKET, KEY, CLIENT), KEY, CLIENT, NOON) == TICKET


@pytest.mark.parametrize(
    ("key", "client", "late"),
    [(b"x" * 32, CLIENT, 0), (KEY, "10.0.0.8", 0), (KEY, "10.0.0.70", 0), (KEY, CLIENT, 3600)],
    ids=["another key", "another client", "a longer address", "too late"],
)
def test_it_is_worth_nothing(key: bytes, client: str, late: int) -> None:
    with pytest.raises(NoTicket):
        unseal(seal(TICKET, KEY, CLIENT), key, client, NOON + timedelta(seconds=late))


def test_it_does_not_show_whom_it_is_for() -> None:
    assert CLIENT not in seal(TICKET, KEY, CLIENT)


@settings(max_examples=300)
@given(st.text(max_size=300))
def test_no_text_of_a_stranger_is_a_ticket(text: str) -> None:
    with pytest.raises(NoTicket):
        unseal(text, KEY, CLIENT, NOON)


@settings(max_examples=300)
@given(st.data())
def test_no_change_of_a_single_character_survives(data: st.DataObject) -> None:
    sealed = seal(TICKET, KEY, CLIENT)
    place = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != sealed[place]))
    with pytest.raises(NoTicket):
        unseal(sealed[:place] + other + sealed[place + 1 :], KEY, CLIENT, NOON)


def test_the_longest_ticket_still_counts() -> None:
    long = replace(TICKET, url="/" + "x" * (MAX_URL - 1), approver="가" * 500, host="h" * 253)
    assert unseal(seal(long, KEY, CLIENT), KEY, CLIENT, NOON) == long
