"""The entries made of a policy say exactly what its sinkhole blocks."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address

from hypothesis import given, settings

from sumun.export.names import entries_for
from sumun.model.listed import Entry, Hold
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.blocked import BlockedNames
from sumun.policy.compile import PolicySource, compile_policy
from tests.support.builders import CHATGPT, DEEPSEEK, NOON, exact, policy, request, rule, segment, service
from tests.support.reference import carries, covers
from tests.support.strategies import NAMES, PATTERNS, instants, sources

ASKED = [*NAMES, *(f"{label}.{name}" for name in NAMES for label in ("q", "q-b", "q.r", "y"))]


def several_globs(name: DomainName) -> bool:
    """What two globs cover at once is said by the longer one in a policy, and cannot be said by two entries."""
    return sum(covers(p, name) for p in PATTERNS if p.match is Match.GLOB) > 1


@settings(max_examples=400, deadline=None)
@given(sources(), instants)
def test_says_what_the_sinkhole_blocks(source: PolicySource, at: datetime) -> None:
    compiled = compile_policy(source)
    for part in source.segments:
        names = BlockedNames.of(compiled, part, at)
        assert names
        entries = list(entries_for(names.patterns(), names.covers))
        default = names.covers(DomainName("never.mentioned"))
        for text in ASKED:
            name = DomainName(text)
            if not default and not several_globs(name):
                assert carries(entries, name) is names.covers(name), text


@settings(max_examples=100, deadline=None)
@given(sources(), instants)
def test_says_it_with_no_entry_too_many(source: PolicySource, at: datetime) -> None:
    names = BlockedNames.of(compile_policy(source), source.segments[0], at)
    assert names
    entries = list(entries_for(names.patterns(), names.covers))
    assert len(set(entries)) == len(entries)
    literal = [e for e in entries if e.pattern.match is not Match.GLOB]
    for entry in literal:
        without = [e for e in entries if e is not entry]
        below = DomainName(f"q.r.s.{entry.pattern.text}") if entry.pattern.match is Match.SUFFIX else None
        asked = below or DomainName(entry.pattern.text)
        assert carries(without, asked) is not entry.hold.carries or carries(entries, asked) is carries(without, asked)


def test_an_exception_for_one_name_and_a_carved_out_host() -> None:
    services = [DEEPSEEK, CHATGPT, service("api", exact("api.chatgpt.com"))]
    rules = [
        rule("ok", "allow", domains=["status.deepseek.com"]),
        rule("no", "block", services=["deepseek", "chatgpt"]),
    ]
    part = segment("s", "10.0.0.0/8", rules=rules)
    names = BlockedNames.of(policy(part, services=services), part, NOON)
    assert names
    assert list(entries_for(names.patterns(), names.covers)) == [
        Entry(Pattern("chatgpt.com")),
        Entry(Pattern("api.chatgpt.com", Match.EXACT), Hold.SPARED),
        Entry(Pattern("deepseek.com")),
        Entry(Pattern("status.deepseek.com"), Hold.SPARED),
    ]


def test_the_client_that_stands_for_a_segment_is_one_that_no_rule_singles_out() -> None:
    rules = [rule("boss", "allow", clients=["10.0.0.0/30"]), rule("no", "block", services=["deepseek"])]
    part, other = segment("s", "10.0.0.0/24", rules=rules), segment("t", "10.0.0.4/31")
    names = BlockedNames.of(policy(part, other, services=[DEEPSEEK]), part, NOON)
    assert names
    assert names.policy.segment_of(names.client) is part
    assert names.client not in rules[0].when.clients[0]
    assert (names.covers(DomainName("deepseek.com")), names.personal()) == (True, ["boss"])


def test_a_segment_without_networks_has_no_client_unless_strangers_are_served_as_it() -> None:
    part = segment("s", rules=[rule("no", "block", services=["deepseek"])])
    assert BlockedNames.of(policy(part, services=[DEEPSEEK]), part, NOON) is None
    open_to_all = policy(part, services=[DEEPSEEK], unknown_clients="s")
    names = BlockedNames.of(open_to_all, part, NOON)
    assert names
    assert names.client == ip_address("192.0.2.1")
    outcome = open_to_all.decide(request("192.0.2.1", "deepseek.com"), at=NOON)
    assert names.covers(DomainName("deepseek.com")) is (outcome.segment == "s")
