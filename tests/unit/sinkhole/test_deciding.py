from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.grant import Grant, GrantKind
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.model.request import AccessRequest
from sumun.model.schedule import Schedule
from sumun.model.service import Pattern
from sumun.policy.engine import Policy
from sumun.policy.grants import Grants
from sumun.sinkhole.deciding import Deciding
from tests.support.builders import CHATGPT, DEEPSEEK, NOON, policy, rule, segment, service, shared

SEARCH = service("search", shared("search.example", "/chat"))
NAMES = ["a.deepseek.com", "b.deepseek.com", "chatgpt.com", "www.example.org", "vpn.example", "x.search.example", ""]
TONIGHT = Schedule(start=NOON + timedelta(seconds=10), until=NOON + timedelta(seconds=20))
RULES = {
    "by service": [rule("a", "block", services=["deepseek"])],
    "by domain": [rule("b", "block", domains=["b.deepseek.com"])],
    "by client": [rule("c", "block", clients=["10.0.0.2/32"], services=["chatgpt"])],
    "by list": [rule("d", "block", lists=["tunnels"])],
    "by hour": [rule("e", "block", services=["chatgpt"], schedule=TONIGHT)],
    "by model": [rule("f", "warn", categories=["*"], models=("r1*",))],
}


def compiled(*kinds: str) -> Policy:
    rules = [each for kind in kinds for each in RULES[kind]]
    return policy(
        segment("office", "10.0.0.0/8", rules=rules), segment("open", "10.9.0.0/16"),
        services=[DEEPSEEK, CHATGPT, SEARCH], lists={"tunnels": [Entry(Pattern("vpn.example"))]},
    )  # fmt: skip


steps = st.lists(
    st.tuples(
        st.sampled_from(["10.0.0.1", "10.0.0.2", "10.9.0.1", "192.0.2.1"]),
        st.sampled_from(NAMES),
        st.sampled_from([0, 5, 10, 19, 20, 21, -3]),
    ),
    max_size=40,
)


@given(st.sets(st.sampled_from(sorted(RULES))), steps, st.booleans())
def test_what_is_remembered_is_what_the_policy_would_say(
    kinds: set[str], asked: list[tuple[str, str, int]], granted: bool
) -> None:
    """Whatever the rules, whoever asks in whatever order, at hours that come and go."""
    it = compiled(*sorted(kinds))
    if granted:
        until = NOON + timedelta(seconds=15)
        it = it.granting(Grants([Grant("X1", GrantKind.EXEMPTION, until, "deepseek", client=ip_network("10.0.0.1"))]))
    deciding = Deciding(it)
    for client, name, seconds in asked:
        request, at = AccessRequest(ip_address(client), DomainName(name)), NOON + timedelta(seconds=seconds)
        assert deciding.decide(request, at=at) == it.decide(request, at=at)
        assert deciding.segment_of(request.client) == it.segment_of(request.client)


@pytest.mark.parametrize(("kind", "alike"), [("by service", True), ("by domain", False), ("by client", False)])
def test_names_of_one_service_share_one_outcome_unless_rules_tell_them_apart(kind: str, alike: bool) -> None:
    deciding = Deciding(compiled(kind))
    one, other = (
        deciding.decide(AccessRequest(ip_address("10.0.0.1"), DomainName(name)), at=NOON) for name in NAMES[:2]
    )
    assert (one is other) is alike
