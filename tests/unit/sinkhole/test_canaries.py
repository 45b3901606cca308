from __future__ import annotations

import asyncio

import dns.rcode
import pytest

from sumun.sinkhole.canaries import canary
from sumun.sinkhole.outcome import Answer, Forward
from sumun.sinkhole.tally import Tally
from tests.support.builders import DEEPSEEK, policy, rule, segment
from tests.unit.sinkhole.asking import answered, ask, errors, forwarded, query, responder
from tests.unit.telemetry.fakes import Counted

FILTERING = policy(
    segment("office", "10.0.0.0/8", rules=[rule("no", "block", services=["deepseek"])]), services=[DEEPSEEK]
)
OPEN = policy(segment("office", "10.0.0.0/8"))
NAMES = ["use-application-dns.net", "mask.icloud.com", "mask-h2.icloud.com", "mask.apple-dns.net"]


@pytest.mark.parametrize("type_", ["A", "AAAA", "HTTPS", "TXT"])
@pytest.mark.parametrize("name", NAMES)
def test_software_is_told_to_stay(name: str, type_: str) -> None:
    wire = query(name.upper(), type_, use_edns=0)
    answer = answered(wire, ask(responder(FILTERING), wire))
    assert answer.rcode() == dns.rcode.NXDOMAIN
    assert [code for code, _ in errors(answer)] == [15]


@pytest.mark.parametrize("name", ["resolver.arpa", "_dns.resolver.arpa"])
def test_no_encrypted_resolver_is_designated(name: str) -> None:
    wire = query(name, "SVCB")
    answer = answered(wire, ask(responder(FILTERING), wire))
    assert (answer.rcode(), answer.answer, len(answer.authority)) == (dns.rcode.NOERROR, [], 1)


@pytest.mark.parametrize("name", [*NAMES, "_dns.resolver.arpa"])
def test_where_nothing_is_filtered_nothing_is_said(name: str) -> None:
    assert isinstance(ask(responder(OPEN), query(name)), Forward)


@pytest.mark.parametrize("name", ["icloud.com", "www.mask.icloud.com", "notresolver.arpa", "in-addr.arpa"])
def test_neighbours_are_left_alone(name: str) -> None:
    assert isinstance(ask(responder(FILTERING), query(name)), Forward)
    assert canary(forwarded(ask(responder(FILTERING), query(name))).question.name) is None


def test_a_rule_that_names_the_name_wins() -> None:
    rules = [rule("relay", "allow", domains=["mask.icloud.com"]), rule("no", "block", services=["deepseek"])]
    allowing = policy(segment("office", "10.0.0.0/8", rules=rules), services=[DEEPSEEK])
    assert isinstance(ask(responder(allowing), query("mask.icloud.com")), Forward)
    assert isinstance(ask(responder(allowing), query("mask-h2.icloud.com")), Answer)


def test_every_hit_counts_and_none_is_an_event() -> None:
    async def main() -> None:
        counted = Counted()
        tally = Tally(counted.metrics, None)  # type: ignore[arg-type]  # no attempt, so nobody to tell
        for name in (*NAMES, "_dns.resolver.arpa", NAMES[0]):
            answer = ask(responder(FILTERING), query(name))
            assert isinstance(answer, Answer)
            tally.response(answer, "udp", sent=True, seconds=0)
        tally.hand_on_all()
        assert counted.series("sumun_bypass_attempts_total") == {
            ("office", "doh_canary"): 2,
            ("office", "private_relay"): 3,
            ("office", "resolver_discovery"): 1,
        }

    asyncio.run(main())
