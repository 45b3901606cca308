from __future__ import annotations

import asyncio

import dns.rcode
import pytest

from sumun.model.listed import Entry
from sumun.model.service import Pattern
from sumun.policy.canaries import canary
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.outcome import Answer, Forward
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.tally import Tally
from sumun.telemetry.recorder import Recorder
from tests.support.builders import DEEPSEEK, NOON, policy, rule, segment
from tests.unit.sinkhole.asking import CLIENT, PAGES, answered, ask, errors, forwarded, query, responder
from tests.unit.sinkhole.test_handler import Echoing
from tests.unit.telemetry.fakes import Counted, FakeSink

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


def test_a_block_is_no_way_to_say_yes() -> None:
    """To a browser any address is an invitation; the lists of ways round carry these names, too."""
    rules = [rule("no", "block", lists=["dns-bypass"])]
    listed = policy(segment("office", "10.0.0.0/8", rules=rules), lists={"dns-bypass": [Entry(Pattern(NAMES[0]))]})
    wire = query(NAMES[0])
    assert answered(wire, ask(responder(listed), wire)).rcode() == dns.rcode.NXDOMAIN


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


LISTED = {"dns-bypass": [Entry(Pattern("resolver.example"))], "tunnels": [Entry(Pattern("vpn.example"))]}


@pytest.mark.parametrize(("name", "technique"), [("a.resolver.example", "encrypted_dns"), ("vpn.example", "vpn")])
@pytest.mark.parametrize("how", ["blocked", "passed", "named", "unfiltered"])
def test_hits_of_the_lists_of_ways_round_count_by_technique(name: str, technique: str, how: str) -> None:
    """Blocked, or let pass for want of a rule; not where it is allowed by name or nothing is filtered."""
    rules = {
        "blocked": [rule("no", "block", lists=["dns-bypass", "tunnels"])],
        "passed": [rule("no", "block", services=["deepseek"])],
        "named": [rule("ours", "allow", lists=["dns-bypass", "tunnels"])],
        "unfiltered": [],
    }[how]
    compiled = policy(segment("office", "10.0.0.0/8", rules=rules), services=[DEEPSEEK], lists=LISTED)

    async def main() -> None:
        counted, sink = Counted(), FakeSink()
        recorder = Recorder(counted.metrics, [sink], clock=lambda: NOON)
        handler = Handler(
            responder=Responder(policy=lambda: compiled, pages=PAGES),
            upstream=Echoing(),
            tally=Tally(counted.metrics, recorder),
            clock=lambda: NOON,
        )
        for type_ in ("A", "AAAA", "A"):
            handler.handle(query(name, type_, use_edns=0), CLIENT, "udp", lambda _: None)
            await asyncio.sleep(0)
        await handler.drain(5)
        recorder.close()
        hits = {("office", technique): 3.0} if how in ("blocked", "passed") else {}
        assert counted.series("sumun_bypass_attempts_total") == hits
        told = {(d["event"]["kind"], d["sumun"].get("bypass")) for d in sink.documents}
        assert told == {"blocked": {("alert", technique)}, "named": {("event", None)}}.get(how, set())

    asyncio.run(main())
