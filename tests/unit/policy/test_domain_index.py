"""Longest suffix, exact names, and globs that stay within their label."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.name import DomainName, InvalidName
from sumun.model.service import Match, Pattern
from sumun.policy.domain_index import DomainIndex, NameIndex
from sumun.policy.packed_index import PackedIndex, pack
from tests.support import strategies
from tests.support.reference import covers, rank

labels = st.sampled_from(["a", "b", "c", "d", "x-b", "test", "example"])
names = st.lists(labels, min_size=1, max_size=6).map(".".join)


INDEXES = [
    pytest.param(DomainIndex, id="dict"),
    pytest.param(lambda entries: PackedIndex(b"".join(pack(entries, {}))), id="packed"),
]
type Make = Callable[[list[tuple[Pattern, str]]], NameIndex[str]]


def found(index: NameIndex[str], name: str) -> list[str]:
    return [value for group in index.lookup(DomainName(name)) for value in group]


ENTRIES = {f"{pattern.match}:{pattern.text}": pattern for pattern in [*strategies.PATTERNS, Pattern("test")]}


@pytest.mark.parametrize("make", INDEXES)
@settings(max_examples=400, deadline=None)
@given(patterns=st.lists(st.sampled_from(sorted(ENTRIES)), unique=True), name=names)
def test_finds_what_a_scan_of_all_patterns_finds_most_specific_first(
    make: Make, patterns: list[str], name: str
) -> None:
    index = make([(ENTRIES[value], value) for value in patterns])
    expected = [value for value in patterns if covers(ENTRIES[value], DomainName(name))]
    groups = index.lookup(DomainName(name))
    assert all(groups)
    assert sorted(value for group in groups for value in group) == sorted(expected)
    ranks = [rank(ENTRIES[value], DomainName(name)) for group in groups for value in group]
    assert ranks == sorted(ranks, reverse=True)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(strategies.PATTERNS), st.sampled_from("abc"))), names)
def test_both_kinds_group_the_same_lists_in_the_same_order(entries: list[tuple[Pattern, str]], name: str) -> None:
    groups = DomainIndex(entries).lookup(DomainName(name))
    packed = PackedIndex(b"".join(pack(entries, {}))).lookup(DomainName(name))
    assert [sorted(set(group)) for group in packed] == [sorted(set(group)) for group in groups]


@pytest.mark.parametrize("make", INDEXES)
@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("*-aiplatform.googleapis.com", "us-east1-aiplatform.googleapis.com", "aiplatform.googleapis.com"),
        ("*-aiplatform.googleapis.com", "eu-aiplatform.googleapis.com", "x.us-aiplatform.googleapis.com"),
        (
            "bedrock-runtime.*.amazonaws.com",
            "bedrock-runtime.ap-northeast-2.amazonaws.com",
            "bedrock-runtime.a.b.amazonaws.com",
        ),
        ("bedrock-runtime.*.amazonaws.com", "bedrock-runtime.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com"),
        ("api.*.eu-*.cloud.example", "api.t1.eu-2.cloud.example", "api.t1.us-2.cloud.example"),
    ],
)
def test_a_glob_stays_within_its_label(make: Make, glob: str, inside: str, outside: str) -> None:
    index = make([(Pattern.parse(glob), glob)])
    assert found(index, inside) == [glob]
    assert found(index, outside) == []


@pytest.mark.parametrize("make", INDEXES)
def test_the_dots_of_a_glob_are_dots(make: Make) -> None:
    assert found(make([(Pattern.parse("a*.b-c.test"), "g")]), "ax.b-cxtest") == []


@pytest.mark.parametrize("text", ["*.example.com", "ai.*", "ai.*.com", "*"])
def test_a_glob_that_could_cover_many_owners_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        Pattern.parse(text)


@pytest.mark.parametrize("make", INDEXES)
def test_a_label_boundary_is_respected(make: Make) -> None:
    index = make([(Pattern.parse("deepseek.com"), "s")])
    assert found(index, "chat.deepseek.com") == ["s"]
    assert found(index, "notdeepseek.com") == []
    assert found(index, r"chat\046deepseek.com") == []


@pytest.mark.parametrize("make", INDEXES)
def test_exact_matches_nothing_below(make: Make) -> None:
    index = make([(Pattern.parse("api.test", Match.EXACT), "e")])
    assert (found(index, "api.test"), found(index, "x.api.test")) == (["e"], [])
