from __future__ import annotations

from contextlib import suppress

import dns.flags
import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.sinkhole.outcome import Answer
from sumun.sinkhole.service_records import seen_through
from tests.support.builders import DEEPSEEK, NOON, policy, rule, segment
from tests.unit.sinkhole.asking import answered, ask, forwarded, query, responder

NAME = "chat.deepseek.com."
FULL = "1 . alpn=h3,h2 ech=AAT+DQAA port=443 ipv4hint=192.0.2.1"
MANDATORY = '1 . mandatory="alpn" alpn="h2"'
RRSIG = f"{NAME} 60 IN RRSIG HTTPS 8 3 60 20300101000000 20250101000000 1 deepseek.com. AAAA"


def reply(*records: str, flags: int = 0) -> bytes:
    message = dns.message.make_response(
        dns.message.make_query(NAME, "HTTPS", want_dnssec=True), recursion_available=True
    )
    text = "\n".join(f"{NAME} 60 IN HTTPS {r}" if not r.startswith(NAME) else r for r in records)
    message.answer = dns.message.from_text(f"id 0\n;ANSWER\n{text}").answer
    message.flags |= flags
    return message.to_wire()


def records(wire: bytes, type_: str = "HTTPS") -> list[str]:
    message = dns.message.from_wire(wire)
    return [r.to_text() for rrset in message.answer if rrset.rdtype == dns.rdatatype.from_text(type_) for r in rrset]


@pytest.mark.parametrize(
    ("before", "kept", "without_h3"),
    [
        (FULL, '1 . alpn="h3,h2" port="443" ipv4hint="192.0.2.1"', '1 . alpn="h2" port="443" ipv4hint="192.0.2.1"'),
        ("1 . alpn=h3", '1 . alpn="h3"', "1 ."),
        ("1 . alpn=h3-29,http/1.1", '1 . alpn="h3-29,http/1.1"', '1 . alpn="http/1.1"'),
        (
            "1 . mandatory=ech,alpn alpn=h2 ech=AAT+DQAA",
            '1 . mandatory="alpn" alpn="h2"',
            '1 . mandatory="alpn" alpn="h2"',
        ),
        ("1 . mandatory=ech ech=AAT+DQAA", "1 .", "1 ."),
        ("0 other.example.", "0 other.example.", "0 other.example."),
    ],
)
def test_what_hides_is_taken_out(before: str, kept: str, without_h3: str) -> None:
    assert records(seen_through(reply(before), without_h3=False)) == [kept]
    assert records(seen_through(reply(before), without_h3=True)) == [without_h3]


def test_a_service_over_http3_alone_is_no_service() -> None:
    wire = reply("1 . alpn=h3 no-default-alpn", "2 . alpn=h2")
    assert records(seen_through(wire, without_h3=True)) == ['2 . alpn="h2"']
    assert records(seen_through(reply("1 . alpn=h3 no-default-alpn"), without_h3=True)) == []


def test_signatures_and_authentic_data_go_with_what_they_vouched_for() -> None:
    changed = seen_through(reply(FULL, RRSIG, flags=dns.flags.AD), without_h3=False)
    assert records(changed, "RRSIG") == []
    assert not dns.message.from_wire(changed).flags & dns.flags.AD
    untouched = reply("1 . alpn=h2", RRSIG, flags=dns.flags.AD)
    assert seen_through(untouched, without_h3=True) == untouched


@given(st.binary(max_size=80), st.integers(12, 200))
def test_octets_of_any_kind_are_changed_or_refused(noise: bytes, cut: int) -> None:
    with suppress(ValueError, dns.exception.DNSException):
        dns.message.from_wire(seen_through(reply(FULL)[:cut] + noise, without_h3=True))


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("monitor", '1 . alpn="h3,h2" port="443" ipv4hint="192.0.2.1"'),
        ("warn", '1 . alpn="h2" port="443" ipv4hint="192.0.2.1"'),
        (None, '1 . alpn="h3,h2" port="443" ipv4hint="192.0.2.1" ech="AAT+DQAA"'),
    ],
)
def test_how_much_goes_depends_on_what_policy_must_see(action: str | None, expected: str) -> None:
    """Guards "nothing changed for other names": the last case has no rule and no catalogue entry."""
    rules = [rule("r", action, services=["deepseek"])] if action else []
    from sumun.model.segment import DnsPolicy

    office = segment("office", "10.0.0.0/8", rules=rules, dns=DnsPolicy(steer=False))
    it = responder(policy(office, services=[DEEPSEEK] if action else []))
    wire = query(NAME, "HTTPS", use_edns=0)
    answer = it.on_reply(forwarded(ask(it, wire)), reply(FULL), at=NOON)
    assert isinstance(answer, Answer)
    assert [r.to_text() for rrset in answered(wire, answer).answer for r in rrset] == [expected]
