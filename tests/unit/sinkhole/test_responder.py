from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.decision import Decision, Reason
from sumun.model.grant import Grant, GrantKind
from sumun.model.schedule import Schedule
from sumun.model.segment import DnsAnswer, DnsPolicy, FailMode
from sumun.model.verdict import DataExposed, Verdict
from sumun.policy.engine import Policy
from sumun.policy.grants import Grants
from sumun.sinkhole.outcome import Answer, Drop, Forward, Source
from sumun.sinkhole.responder import Responder
from sumun.telemetry.incident import NO_ID
from tests.support.builders import CHATGPT, DEEPSEEK, NOON, policy, rule, segment, service
from tests.unit.sinkhole.asking import (
    BOTH_FAMILIES,
    CLIENT,
    ONLY_IPV6,
    PAGES,
    addresses,
    answered,
    ask,
    errors,
    forwarded,
    query,
    responder,
)

NAME = "chat.deepseek.com"
TYPES = ["A", "AAAA", "HTTPS", "SVCB", "CNAME", "MX", "TXT", "NS", "SOA", "DS", "DNSKEY", "ANY", "AXFR", "TYPE65280"]


def blocking(answer: DnsAnswer = DnsAnswer.SINKHOLE, **more: object) -> Policy:
    dns_policy = DnsPolicy(answer=answer, ttl=30)
    block = rule("no-deepseek", "block", services=["deepseek"], **more)
    return policy(segment("office", "10.0.0.0/8", rules=[block], dns=dns_policy), services=[DEEPSEEK, CHATGPT])


def acting(action: str, *, steer: bool = True) -> Policy:
    return policy(
        segment(
            "office", "10.0.0.0/8", rules=[rule("r", action, services=["deepseek"])], dns=DnsPolicy(ttl=30, steer=steer)
        ),
        services=[DEEPSEEK],
    )


SHAPES = {
    DnsAnswer.SINKHOLE: {"A": "192.0.2.1"},
    DnsAnswer.NULL: {"A": "0.0.0.0", "AAAA": "::"},
    DnsAnswer.NODATA: {},
    DnsAnswer.NXDOMAIN: {},
    DnsAnswer.REFUSED: {},
}


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("kind", DnsAnswer)
def test_a_blocked_name_has_one_shape_for_every_type(kind: DnsAnswer, type_: str) -> None:
    wire = query(NAME, type_, use_edns=0)
    message = answered(wire, ask(responder(blocking(kind)), wire))
    expected = SHAPES[kind].get(type_)
    rcodes = {DnsAnswer.NXDOMAIN: dns.rcode.NXDOMAIN, DnsAnswer.REFUSED: dns.rcode.REFUSED}
    assert message.rcode() == rcodes.get(kind, dns.rcode.NOERROR)
    assert addresses(message) == ([expected] if expected else [])
    negative = expected is None and kind is not DnsAnswer.REFUSED
    assert [rrset.rdtype for rrset in message.authority] == ([dns.rdatatype.SOA] if negative else [])
    assert errors(message) == [(15, f"blocked by rule no-deepseek, incident {NO_ID}: Deepseek")]


def test_negative_answers_are_cached_for_the_ttl_of_the_segment() -> None:
    wire = query(NAME, "TXT")
    (soa,) = answered(wire, ask(responder(blocking()), wire)).authority
    assert (soa.ttl, soa[0].minimum, str(soa.name)) == (30, 30, f"{NAME}.")


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        pytest.param(PAGES, {"A": ["192.0.2.1"], "AAAA": []}, id="ipv4"),
        pytest.param(BOTH_FAMILIES, {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}, id="both"),
        pytest.param(ONLY_IPV6, {"A": [], "AAAA": ["2001:db8::1"]}, id="ipv6"),
    ],
)
def test_addresses_are_given_by_family(pages: object, expected: dict[str, list[str]]) -> None:
    it = responder(blocking(), pages)  # type: ignore[arg-type]  # the parameters of pytest are objects
    for type_, there in expected.items():
        wire = query(NAME, type_)
        assert addresses(answered(wire, ask(it, wire))) == there


@pytest.mark.parametrize("action", ["block", "warn"])
def test_rules_and_categories_have_addresses_of_their_own(action: str) -> None:
    """So that flow logs, which show addresses only, tell what was tried."""
    pages = replace(BOTH_FAMILIES, categories=(("llm-api", tuple(map(ip_address, ["192.0.2.3", "2001:db8::3"]))),))
    api, other = service("router", "router.example", category="llm-api"), service("mail", "mail.example")
    rules = [
        rule("one", action, services=["deepseek"], sinkhole=(ip_address("192.0.2.2"),)),
        rule("rest", action, categories=["*"]),
    ]
    it = responder(policy(segment("office", "10.0.0.0/8", rules=rules), services=[DEEPSEEK, api, other]), pages)
    expected = {
        NAME: ["192.0.2.2", None],  # the rule's address is of one family, and nothing leads elsewhere
        "router.example": ["192.0.2.3", "2001:db8::3"],
        "mail.example": ["192.0.2.1", "2001:db8::1"],
    }
    for name, there in expected.items():
        found = [addresses(answered(wire, ask(it, wire))) for wire in (query(name, "A"), query(name, "AAAA"))]
        assert [each[0] if each else None for each in found] == there


def test_a_copy_is_judged_as_what_it_shows() -> None:
    """A translation of a blocked site is that site; the rest of the translator is left alone."""
    wire, it = query("chat-deepseek-com.translate.goog"), responder(blocking())
    response = ask(it, wire)
    assert addresses(answered(wire, response)) == ["192.0.2.1"]
    assert isinstance(response, Answer)
    assert (attempt := response.tried())
    assert (str(attempt.name), attempt.outcome.service) == (
        "chat-deepseek-com.translate.goog", DEEPSEEK,
    )  # fmt: skip
    for name in ("www-example-org.translate.goog", "translate.goog", "translate.google.com"):
        assert isinstance(ask(it, query(name)), Forward)
    forward = forwarded(ask(it, query("www.example.org")))
    alias = reply_to(forward, "www.example.org. 60 CNAME chat-deepseek-com.translate.goog.")
    assert it.on_reply(forward, alias, at=NOON).source is Source.POLICY


def test_the_exception_for_a_site_ends_for_its_copy_too() -> None:
    until = NOON + timedelta(seconds=20)
    rules = [
        rule("for now", "allow", domains=["chat.deepseek.com"], schedule=Schedule(until=until)),
        rule("no-deepseek", "block", services=["deepseek"]),
    ]
    it = responder(policy(segment("office", "10.0.0.0/8", rules=rules), services=[DEEPSEEK]))
    wire = query("chat-deepseek-com.translate.goog")
    forward = forwarded(ask(it, wire))
    told = answered(wire, it.on_reply(forward, reply_to(forward, f"{forward.question.name}. 300 A 192.0.2.7"), at=NOON))
    assert [rrset.ttl for rrset in told.answer] == [20]
    assert isinstance(ask(it, wire, at=until), Answer)


def test_header_and_question_are_the_clients_own() -> None:
    wire = query("ChAt.DeepSeek.COM.", "A", id=0x1234)
    message = answered(wire, ask(responder(blocking()), wire))
    assert message.id == 0x1234
    assert message.question[0].name.to_text() == "ChAt.DeepSeek.COM."
    assert message.flags == dns.flags.QR | dns.flags.RD | dns.flags.RA


@pytest.mark.parametrize("more", [{"want_dnssec": True}, {"flags": dns.flags.CD | dns.flags.AD}, {"flags": 0}])
def test_what_the_client_says_beside_the_name_makes_no_difference(more: dict[str, object]) -> None:
    wire = query(NAME.title(), "A", **more)
    message = answered(wire, ask(responder(blocking()), wire))
    assert addresses(message) == ["192.0.2.1"]
    assert not message.flags & dns.flags.AD
    assert bool(message.ednsflags & dns.flags.DO) == ("want_dnssec" in more)


SPELLINGS = {
    "upper case": [b"CHAT", b"DEEPSEEK", b"COM"],
    "mixed case": [b"cHaT", b"DeEpSeEk", b"cOm"],
    "the apex": [b"deepseek", b"com"],
    "a dot in a label": [b"a.b", b"deepseek", b"com"],
    "a backslash": [b"a\\046", b"deepseek", b"com"],
    "a space and NUL": [b"a \x00", b"deepseek", b"com"],
    "octets beyond ASCII": [b"\xff\x80", b"deepseek", b"com"],
    "an asterisk": [b"*", b"deepseek", b"com"],
    "an underscore": [b"_dns", b"deepseek", b"com"],
    "punycode": [b"xn--chat-p01m", b"deepseek", b"com"],
    "the longest": [b"a" * 63, b"a" * 63, b"a" * 63, b"a" * 40, b"deepseek", b"com"],
}
NEIGHBOURS = {
    "a dot within the label": [b"chat.deepseek", b"com"],
    "a homograph": [b"xn--dpseek-0vfb", b"com"],
    "a longer label": [b"notdeepseek", b"com"],
    "below another": [b"deepseek", b"com", b"example"],
}


def spelt(labels: list[bytes], type_: str, flags: int, dnssec: bool) -> bytes:
    message = dns.message.make_query(dns.name.Name([*labels, b""]), type_, want_dnssec=dnssec)
    message.flags = flags
    return message.to_wire()


@pytest.mark.parametrize("type_", ["A", "NS", "SOA", "DS", "TXT", "ANY"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_type_or_flag_makes_a_difference(spelling: str, type_: str) -> None:
    it = responder(blocking())
    for flags in (0, dns.flags.RD, dns.flags.RD | dns.flags.CD, dns.flags.RD | dns.flags.AD):
        for dnssec in (False, True):
            wire = spelt(SPELLINGS[spelling], type_, int(flags), dnssec)
            response = ask(it, wire)
            assert addresses(answered(wire, response)) == (["192.0.2.1"] if type_ == "A" else [])
            assert isinstance(response, Answer)
            assert response.source is Source.POLICY


@pytest.mark.parametrize("neighbour", NEIGHBOURS)
def test_names_that_only_look_alike_are_left_alone(neighbour: str) -> None:
    assert isinstance(ask(responder(blocking()), spelt(NEIGHBOURS[neighbour], "A", 0x0100, False)), Forward)


@pytest.mark.parametrize(
    "lines",
    [
        ["example.org. 60 DNAME deepseek.com.", "www.example.org. 60 CNAME www.deepseek.com."],
        ["www.example.org. 60 DNAME deepseek.com."],
        ["www.example.org. 60 SVCB 1 api.deepseek.com. ipv4hint=192.0.2.7"],
        ["www.example.org. 60 HTTPS 1 . alpn=h2", "api.deepseek.com. 60 A 192.0.2.7"],
    ],
    ids=["dname and what is made of it", "dname", "svcb target", "a record beside the answer"],
)
def test_whatever_leads_to_a_blocked_name_is_blocked(lines: list[str]) -> None:
    it = responder(blocking())
    forward = forwarded(ask(it, query("www.example.org", "HTTPS")))
    assert it.on_reply(forward, reply_to(forward, *lines), at=NOON).source is Source.POLICY


def test_opt_goes_only_to_clients_that_sent_one() -> None:
    for edns in (-1, 0):
        wire = query(NAME, use_edns=edns)
        message = answered(wire, ask(responder(blocking()), wire))
        assert message.edns == edns


def test_strangers_are_refused_with_their_reason() -> None:
    for name in (NAME, "www.example.org", "."):
        wire = query(name, use_edns=0)
        response = ask(responder(blocking()), wire, "203.0.113.5")
        message = answered(wire, response)
        assert message.rcode() == dns.rcode.REFUSED
        assert [code for code, _ in errors(message)] == [18]
        assert isinstance(response, Answer)
        assert response.attempt
        assert isinstance(response.attempt.outcome, Decision)
        assert response.attempt.outcome.reason is Reason.UNKNOWN_CLIENT
        assert response.attempt.verdict is Verdict.REFUSED
        assert response.labels.segment == "unknown"


@pytest.mark.parametrize("action", ["warn", "justify"])
def test_names_that_need_a_page_are_steered(action: str) -> None:
    it = responder(acting(action))
    for type_, there in {"A": ["192.0.2.1"], "AAAA": [], "HTTPS": [], "SVCB": [], "ANY": []}.items():
        wire = query(NAME, type_, use_edns=0)
        response = ask(it, wire)
        message = answered(wire, response)
        assert addresses(message) == there
        assert isinstance(response, Answer)
        assert response.attempt
        assert response.attempt.verdict is Verdict.STEERED
        assert errors(message) == [(4, "led to the filter's own page: Deepseek")]
    txt = forwarded(ask(it, query(NAME, "TXT")))
    assert txt.attempt
    assert (txt.attempt.verdict, txt.attempt.exposed) == (Verdict.FORWARDED, DataExposed.NAME_ONLY)


def test_names_are_not_steered_where_the_segment_says_so() -> None:
    assert forwarded(ask(responder(acting("warn", steer=False)), query(NAME))).attempt


def test_what_nobody_speaks_of_is_forwarded_and_not_recorded() -> None:
    wire = query("www.Example.org", "A", id=7, want_dnssec=True)
    response = forwarded(ask(responder(blocking()), wire))
    assert response.attempt is None
    passed_on = dns.message.from_wire(response.query)
    assert passed_on.question == dns.message.from_wire(wire).question
    assert (passed_on.edns, passed_on.payload, passed_on.ednsflags) == (0, 1232, dns.flags.DO)
    assert passed_on.flags == dns.flags.RD


def test_edns_options_stay_on_this_hop() -> None:
    options = [dns.edns.ECSOption("192.0.2.0", 24), dns.edns.GenericOption(10, b"12345678")]
    response = forwarded(ask(responder(blocking()), query("www.example.org", use_edns=0, options=options)))
    assert dns.message.from_wire(response.query).options == ()


@pytest.mark.parametrize("type_", ["AXFR", "IXFR", "TKEY", "MAILB", "TYPE0", "OPT"])
def test_types_for_one_hop_are_not_forwarded(type_: str) -> None:
    wire = dns.message.make_query("www.example.org", "A").to_wire()
    wire = wire[:-4] + dns.rdatatype.from_text(type_).to_bytes(2) + wire[-2:]
    assert answered(wire, ask(responder(blocking()), wire)).rcode() == dns.rcode.NOTIMP


FAULTS = {
    "two questions": (dns.rcode.FORMERR, lambda w: w[:4] + b"\0\2" + w[6:] + w[12:]),
    "no question": (dns.rcode.FORMERR, lambda w: w[:4] + bytes(8)),
    "cut off": (dns.rcode.FORMERR, lambda w: w[:-3]),
    "trailing octets": (dns.rcode.FORMERR, lambda w: w + b"junk"),
    "only a header": (dns.rcode.FORMERR, lambda w: w[:12]),
    "compression loop": (dns.rcode.FORMERR, lambda w: w[:12] + b"\xc0\x0c" + w[-4:]),
    "update": (dns.rcode.NOTIMP, lambda w: w[:2] + b"\x28\0" + w[4:]),
    "notify": (dns.rcode.NOTIMP, lambda w: w[:2] + b"\x20\0" + w[4:]),
    "unknown opcode": (dns.rcode.NOTIMP, lambda w: w[:2] + b"\x78\0" + w[4:]),
    "class chaos": (dns.rcode.REFUSED, lambda w: w[:-2] + b"\0\3"),
    "class any": (dns.rcode.REFUSED, lambda w: w[:-2] + b"\0\xff"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_queries_are_told_what_is_wrong(fault: str) -> None:
    rcode, spoil = FAULTS[fault]
    wire = spoil(query(NAME, id=99))
    response = ask(responder(blocking()), wire)
    message = answered(wire, response)
    assert (message.rcode(), message.id) == (rcode, 99)
    assert isinstance(response, Answer)
    assert (response.source, response.attempt) == (Source.LOCAL, None)


def test_an_unknown_edns_version_is_said() -> None:
    wire = query(NAME, use_edns=1)
    message = answered(wire, ask(responder(blocking()), wire))
    assert (message.rcode(), message.edns) == (dns.rcode.BADVERS, 0)


def test_a_signed_query_is_not_authorised() -> None:
    message = dns.message.make_query(NAME, "A")
    message.use_tsig({dns.name.from_text("key."): b"secret"})
    wire = message.to_wire()
    response = ask(responder(blocking()), wire)
    assert isinstance(response, Answer)
    assert response.rcode == "NOTAUTH"


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\0" * 11, id="less than a header"),
        pytest.param(query(NAME)[:2] + b"\x80\0" + query(NAME)[4:], id="a response"),
    ],
)
def test_what_is_no_query_gets_no_answer(wire: bytes) -> None:
    assert isinstance(ask(responder(blocking()), wire), Drop)


def test_ttl_ends_with_the_hours_of_the_rule() -> None:
    it = responder(blocking(schedule=Schedule(until=NOON + timedelta(seconds=10))))
    wire = query(NAME)
    (rrset,) = answered(wire, ask(it, wire)).answer
    assert rrset.ttl == 10
    assert isinstance(ask(it, wire, at=NOON + timedelta(seconds=10)), Forward)


def test_a_ready_answer_ends_with_the_hours_of_the_rule() -> None:
    it = responder(blocking(schedule=Schedule(until=NOON + timedelta(minutes=1))))
    wire = query(NAME)
    ask(it, wire)
    assert it.ready(wire, CLIENT, "udp", at=NOON + timedelta(seconds=29))
    assert it.ready(wire, CLIENT, "udp", at=NOON + timedelta(seconds=31)) is None  # its full TTL would outlive the rule


def test_a_ready_answer_ends_with_its_policy() -> None:
    policies = [blocking()]

    it = Responder(policy=lambda: policies[-1], pages=PAGES)
    wire = query(NAME)
    first = ask(it, wire)
    assert it.ready(wire, CLIENT, "udp", at=NOON) is first
    policies.append(policy(segment("office", "10.0.0.0/8"), services=[DEEPSEEK]))  # even with the same revision
    assert it.ready(wire, CLIENT, "udp", at=NOON) is None
    assert isinstance(ask(it, wire), Forward)


def test_ready_answers_are_kept_apart() -> None:
    """By segment, by spelling and EDNS, and by client where rules name clients."""
    for_one = rule("one", "block", clients=["10.0.0.2/32"], services=["chatgpt"])
    it = responder(
        policy(
            segment("a", "10.0.0.0/8", rules=[for_one, rule("b", "block", services=["deepseek"])]),
            segment("b", "10.20.0.0/16", rules=[rule("b", "block", services=["deepseek"])]),
            services=[DEEPSEEK, CHATGPT],
        )
    )
    wire, gpt = query(NAME), query("chatgpt.com")
    ask(it, wire, "10.20.0.1")
    assert it.ready(wire, ip_address("10.20.0.99"), "udp", at=NOON)
    assert it.ready(wire, ip_address("10.0.0.1"), "udp", at=NOON) is None
    assert it.ready(query(NAME.title()), ip_address("10.20.0.1"), "udp", at=NOON) is None
    assert it.ready(query(NAME, use_edns=0), ip_address("10.20.0.1"), "udp", at=NOON) is None
    ask(it, gpt, "10.0.0.2")
    assert it.ready(gpt, ip_address("10.0.0.2"), "udp", at=NOON)
    assert it.ready(gpt, ip_address("10.0.0.3"), "udp", at=NOON) is None


def test_the_health_name_is_for_loopback_only() -> None:
    wire = query("health.sumun.invalid")
    response = ask(responder(blocking()), wire, "127.0.0.1")
    assert addresses(answered(wire, response)) == ["127.0.0.1"]
    assert isinstance(ask(responder(blocking()), wire, "10.0.0.1"), Forward)


def reply_to(forward: Forward, *answers: str) -> bytes:
    message = dns.message.make_response(dns.message.from_wire(forward.query), recursion_available=True)
    for line in answers:
        name, ttl, type_, data = line.split(maxsplit=3)
        message.answer.append(dns.rrset.from_text(name, int(ttl), "IN", type_, data))
    return message.to_wire()


ALIASES = ["www.example.org. 60 CNAME cdn.example.net.", "cdn.example.net. 60 CNAME chat.deepseek.com.",
           "chat.deepseek.com. 60 A 192.0.2.66"]  # fmt: skip


def test_an_alias_of_a_blocked_name_is_blocked_like_it() -> None:
    it = responder(blocking())
    wire = query("www.example.org", use_edns=0)
    forward = forwarded(ask(it, wire))
    response = it.on_reply(forward, reply_to(forward, *ALIASES), at=NOON)
    message = answered(wire, response)
    assert addresses(message) == ["192.0.2.1"]
    assert errors(message) == [(15, f"blocked by rule no-deepseek, incident {NO_ID}: Deepseek")]
    assert response.attempt
    assert str(response.attempt.name) == "chat.deepseek.com"
    assert response.attempt.exposed is DataExposed.NAME_ONLY


def test_an_https_record_that_leads_to_a_blocked_name_is_blocked() -> None:
    it = responder(blocking())
    wire = query("www.example.org", "HTTPS")
    forward = forwarded(ask(it, wire))
    answer = it.on_reply(forward, reply_to(forward, "www.example.org. 60 HTTPS 0 chat.deepseek.com."), at=NOON)
    assert addresses(answered(wire, answer)) == []
    assert answer.source is Source.POLICY


@pytest.mark.parametrize(("condition", "passes"), [({"domains": ["www.example.org"]}, True), ({}, False)])
def test_an_alias_passes_where_a_rule_names_what_was_asked(condition: dict[str, list[str]], passes: bool) -> None:
    rules = [rule("no-deepseek", "block", services=["deepseek"]), rule("fine", "allow", **condition)]
    it = responder(policy(segment("office", "10.0.0.0/8", rules=rules), services=[DEEPSEEK]))
    forward = forwarded(ask(it, query("www.example.org")))
    answer = it.on_reply(forward, reply_to(forward, *ALIASES), at=NOON)
    assert answer.source is (Source.UPSTREAM if passes else Source.POLICY)


def test_relayed_ttls_end_with_the_decision() -> None:
    """Neither the name asked for nor one it leads to may be kept longer than policy surely lets it pass."""
    later = NOON + timedelta(seconds=20)
    for blocked in ("chatgpt", "deepseek"):
        block = rule("tonight", "block", services=[blocked], schedule=Schedule(start=later))
        it = responder(policy(segment("office", "10.0.0.0/8", rules=[block]), services=[DEEPSEEK, CHATGPT]))
        wire = query("chatgpt.com")
        forward = forwarded(ask(it, wire))
        reply = reply_to(forward, "chatgpt.com. 300 CNAME chat.deepseek.com.", "chat.deepseek.com. 10 A 192.0.2.66")
        message = answered(wire, it.on_reply(forward, reply, at=NOON))
        assert [rrset.ttl for rrset in message.answer] == [20, 10], blocked


def test_a_malformed_reply_is_a_servfail() -> None:
    it = responder(blocking())
    wire = query("www.example.org", use_edns=0)
    forward = forwarded(ask(it, wire))
    reply = reply_to(forward, *ALIASES[:1])
    for bad in (reply[:-3], reply + b"junk", reply[:6] + b"\xff\xff" + reply[8:]):
        answer = it.on_reply(forward, bad, at=NOON)
        assert answered(wire, answer).rcode() == dns.rcode.SERVFAIL
        assert answer.source is Source.ERROR


@pytest.mark.parametrize(("mode", "kind"), [(FailMode.OPEN, Forward), (FailMode.CLOSED, Answer)])
def test_failure_is_served_as_the_segment_says(mode: FailMode, kind: type) -> None:
    it = responder(policy(segment("office", "10.0.0.0/8", on_failure=mode)))
    response = it.on_failure(query(NAME), CLIENT, "udp")
    assert isinstance(response, kind)
    if isinstance(response, Forward):
        relayed = it.on_reply(response, reply_to(response, "chat.deepseek.com. 60 A 192.0.2.66"), at=NOON)
        assert relayed.source is Source.UPSTREAM


def test_strangers_are_closed_to_in_failure() -> None:
    it = responder(policy(segment("office", "10.0.0.0/8", on_failure=FailMode.OPEN)))
    assert isinstance(it.on_failure(query(NAME), ip_address("203.0.113.5"), "udp"), Answer)


def _valid() -> st.SearchStrategy[bytes]:
    return st.builds(
        query,
        st.sampled_from([NAME, "www.example.org", "."]),
        st.sampled_from(TYPES),
        use_edns=st.sampled_from([-1, 0]),
    )


def _mutated(wire: bytes, edits: list[tuple[int, int]], cut: int) -> bytes:
    out = bytearray(wire)
    for position, octet in edits:
        out[position % len(out)] = octet
    return bytes(out[: len(out) - cut])


MUTATED = st.builds(
    _mutated, _valid(), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 255)), max_size=6), st.integers(0, 20)
)
HOSTILE = responder(blocking())


@given(st.one_of(st.binary(max_size=600), MUTATED))
def test_any_octets_get_a_well_formed_answer_or_none(wire: bytes) -> None:
    response = ask(HOSTILE, wire)
    if isinstance(response, Answer):
        message = dns.message.from_wire(wire[:2] + response.body, keyring=False)
        assert message.flags & dns.flags.QR
        assert len(response.body) + 2 <= 512
    elif isinstance(response, Forward):
        assert len(dns.message.from_wire(response.query).question) == 1
    else:
        assert len(wire) < 12 or wire[2] & 0x80


@given(st.data())
def test_any_reply_is_relayed_well_formed_or_refused(data: st.DataObject) -> None:
    """A reply that matches its question, then spoilt behind it."""
    forward = forwarded(ask(HOSTILE, query("www.example.org", "A", use_edns=data.draw(st.sampled_from([-1, 0])))))
    honest = reply_to(forward, *ALIASES[:1], "cdn.example.net. 60 A 192.0.2.7")
    end = len(forward.question.echo.question) + 12
    spoilt = bytearray(honest)
    for position, octet in data.draw(st.lists(st.tuples(st.integers(6, 300), st.integers(0, 255)), max_size=5)):
        if 6 <= position % len(honest) < 12 or position % len(honest) >= end:
            spoilt[position % len(honest)] = octet
    answer = HOSTILE.on_reply(forward, bytes(spoilt), at=NOON)
    assert len(answer.body) <= 4096
    if answer.source is not Source.UPSTREAM:
        dns.message.from_wire(b"\0\0" + answer.body)


def test_what_one_client_was_granted_never_reaches_its_neighbour() -> None:
    """Not even by a ready answer: the question is the same octets, and the segment the same."""
    base, wire, end = acting("warn"), query("chat.deepseek.com"), NOON + timedelta(seconds=20)
    given_ = Grant(
        "A1", GrantKind.ACKNOWLEDGEMENT, end, "deepseek", client=ip_network("10.0.0.7"), segment="office", rule="r"
    )  # fmt: skip
    current = [base]
    it = Responder(policy=lambda: current[-1], pages=PAGES)
    assert isinstance(ask(it, wire, "10.0.0.7"), Answer), "the control: steered before"
    current.append(base.granting(Grants([given_])))
    for _ in range(2):
        assert isinstance(ask(it, wire, "10.0.0.8"), Answer)
        assert it.ready(wire, ip_address("10.0.0.7"), "udp", at=NOON) is None
        forward = forwarded(ask(it, wire, "10.0.0.7"))
    reply = reply_to(forward, "chat.deepseek.com. 3600 A 192.0.2.7")
    assert [rrset.ttl for rrset in answered(wire, it.on_reply(forward, reply, at=NOON)).answer] == [20]
    current.append(base.granting(Grants([replace(given_, until=NOON + timedelta(days=9))])))
    forward = forwarded(ask(it, wire, "10.0.0.7"))
    told = answered(wire, it.on_reply(forward, reply, at=NOON)).answer
    assert [rrset.ttl for rrset in told] == [30], "no longer than the segment's own answers: it may be revoked"
    current.append(base)
    assert isinstance(ask(it, wire, "10.0.0.7"), Answer)
