"""Longest suffix, exact names, and globs that stay within their label."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.name import DomainName, InvalidName
from sumun.model.service import Match, Pattern
from sumun.policy.domain_index import DomainIndex
from tests.support import strategies
from tests.support.reference import covers, rank

labels = st.sampled_from(["a", "b", "c", "d", "x-b", "test", "example"])
names = st.lists(labels, min_size=1, max_size=6).map(".".join)


def found(index: DomainIndex[str], name: str) -> list[str]:
    return [value for group in index.lookup(DomainName(name)) for value in group]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(strategies.PATTERNS), unique=True), names)
def test_finds_what_a_scan_of_all_patterns_finds_most_specific_first(patterns: list[Pattern], name: str) -> None:
    index = DomainIndex((p, p) for p in patterns)
    expected = [p for p in patterns if covers(p, DomainName(name))]
    groups = index.lookup(DomainName(name))
    assert sorted(map(str, (p for g in groups for p in g))) == sorted(map(str, expected))
    ranks = [rank(p, DomainName(name)) for g in groups for p in g]
    assert ranks == sorted(ranks, reverse=True)


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
def test_a_glob_stays_within_its_label(glob: str, inside: str, outside: str) -> None:
    index = DomainIndex([(Pattern.parse(glob), glob)])
    assert found(index, inside) == [glob]
    assert found(index, outside) == []


def test_the_dots_of_a_glob_are_dots() -> None:
    assert found(DomainIndex([(Pattern.parse("a*.b-c.test"), "g")]), "ax.b-cxtest") == []


@pytest.mark.parametrize("text", ["*.example.com", "ai.*", "ai.*.com", "*"])
def test_a_glob_that_could_cover_many_owners_is_refused(text: str) -> None:
    with pytest.raises(InvalidName):
        Pattern.parse(text)


def test_a_label_boundary_is_respected() -> None:
    index = DomainIndex([(Pattern.parse("deepseek.com"), "s")])
    assert found(index, "chat.deepseek.com") == ["s"]
    assert found(index, "notdeepseek.com") == []
    assert found(index, r"chat\046deepseek.com") == []


def test_exact_matches_nothing_below() -> None:
    index = DomainIndex([(Pattern.parse("api.test", Match.EXACT), "e")])
    assert (found(index, "api.test"), found(index, "x.api.test")) == (["e"], [])
