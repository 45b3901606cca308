"""Which lists carry a name, where entries of one list disagree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.listed import Entry, Filed, Hold, carrying
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.domain_index import DomainIndex
from sumun.policy.packed_index import PackedIndex, pack
from tests.support.reference import carries
from tests.support.strategies import NAMES, entries

BLOCK, SPARE, EXCEPT, IMPORTANT, ALWAYS = Hold.LISTED, Hold.SPARED, Hold.EXCEPTED, Hold.IMPORTANT, Hold.ALWAYS_EXCEPTED


def carried(listed: list[Entry], name: str) -> bool:
    index = DomainIndex((entry.pattern, entry.filed_as("l")) for entry in listed)
    return carrying(index.lookup(DomainName(name)), DomainName(name)) == {"l"}


def suffix(text: str, hold: Hold = BLOCK, *unless: str) -> Entry:
    return Entry(Pattern(text), hold, unless)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ([suffix("a.test")], True),
        ([suffix("a.test"), suffix("b.a.test", EXCEPT)], False),
        ([suffix("b.a.test"), suffix("a.test", EXCEPT)], False),
        ([suffix("b.a.test"), suffix("a.test", SPARE)], True),
        ([suffix("a.test"), suffix("b.a.test", SPARE)], False),
        ([suffix("b.a.test"), suffix("b.a.test", SPARE)], True),
        ([suffix("a.test", IMPORTANT), suffix("b.a.test", EXCEPT)], True),
        ([suffix("b.a.test", IMPORTANT), suffix("a.test", ALWAYS)], False),
        ([suffix("a.test", BLOCK, "b.a.test")], False),
        ([suffix("a.test", BLOCK, "c.b.a.test")], True),
        ([suffix("a.test", BLOCK, "b.a.test"), suffix("a.test")], True),
        ([suffix("a.test"), Entry(Pattern("b.a.test", Match.EXACT), SPARE)], False),
        ([suffix("b.a.test", EXCEPT)], False),
    ],
)
def test_precedence(listed: list[Entry], expected: bool) -> None:
    assert carried(listed, "b.a.test") is expected
    assert carried(listed[::-1], "b.a.test") is expected


def test_lists_do_not_take_names_out_of_each_other() -> None:
    index = DomainIndex([(Pattern("a.test"), "one"), (Pattern("a.test"), suffix("a.test", ALWAYS).filed_as("two"))])
    assert carrying(index.lookup(DomainName("a.test")), DomainName("a.test")) == {"one"}


@given(entries)
def test_what_is_filed_is_read_back(entry: Entry) -> None:
    assert Filed.read(entry.filed_as("some-list")) == Filed("some-list", entry.hold, frozenset(entry.unless))


@settings(max_examples=300, deadline=None)
@given(st.lists(entries, max_size=6))
def test_agrees_with_the_naive_reference_in_both_indexes(listed: list[Entry]) -> None:
    filed = [(entry.pattern, entry.filed_as("l")) for entry in listed]
    indexes = DomainIndex(filed), PackedIndex(b"".join(pack(filed, {})))
    for text in NAMES:
        name = DomainName(text)
        expected = {"l"} if carries(listed, name) else set()
        assert [carrying(index.lookup(name), name) for index in indexes] == [expected, expected], text
