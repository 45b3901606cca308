from __future__ import annotations

import json

import dns.edns
import dns.message
import pytest

from sumun.model.segment import DnsPolicy, StructuredErrors
from sumun.policy.engine import Policy
from sumun.sinkhole.outcome import Answer
from sumun.sinkhole.structured_errors import structured_text
from sumun.telemetry.incident import NO_ID
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment
from tests.unit.sinkhole.asking import answered, ask, errors, query, responder

ERRORS = StructuredErrors("mailto:soc@example.test", "예시 기관")
SIGNAL = [dns.edns.EDEOption(0)]


def structured(errors_: StructuredErrors | None = ERRORS, ede: int = 15) -> Policy:
    rules = [rule("no-deepseek", "block", services=["deepseek"]), rule("think", "warn", services=["chatgpt"])]
    office = segment("office", "10.0.0.0/8", rules=rules, dns=DnsPolicy(ede=ede, structured_errors=errors_))
    return policy(office, services=[DEEPSEEK, CHATGPT])


def test_who_asks_for_it_gets_json_with_all_that_is_mandatory() -> None:
    wire = query("chat.deepseek.com", use_edns=0, options=SIGNAL)
    response = ask(responder(structured()), wire)
    ((code, text),) = errors(answered(wire, response))
    assert code == 15
    assert json.loads(text) == {
        "c": ["mailto:soc@example.test"],
        "j": f"blocked by rule no-deepseek, incident {NO_ID}: Deepseek",
        "s": 5,
        "o": "예시 기관",
    }
    assert isinstance(response, Answer)
    told = dns.message.from_wire(wire[:2] + response.telling(b"1KA8-PGF8-T1V3-2R40"))
    assert "incident 1KA8-PGF8-T1V3-2R40:" in json.loads(errors(told)[0][1])["j"]


@pytest.mark.parametrize(
    ("errors_", "options"),
    [pytest.param(ERRORS, [], id="nobody asked"), pytest.param(None, SIGNAL, id="not configured")],
)
def test_others_get_a_text_for_people(errors_: StructuredErrors | None, options: list[dns.edns.Option]) -> None:
    wire = query("chat.deepseek.com", use_edns=0, options=options)
    expected = f"blocked by rule no-deepseek, incident {NO_ID}: Deepseek"
    assert errors(answered(wire, ask(responder(structured(errors_)), wire))) == [(15, expected)]


def test_such_a_client_is_never_told_of_a_forged_answer() -> None:
    """Draft, section 5.2: MUST NOT."""
    wire = query("chatgpt.com", use_edns=0, options=SIGNAL)
    assert errors(answered(wire, ask(responder(structured()), wire))) == []
    wire = query("chatgpt.com", use_edns=0)
    assert [code for code, _ in errors(answered(wire, ask(responder(structured()), wire)))] == [4]


def test_what_does_not_fit_the_client_is_said_in_short() -> None:
    name = ".".join(["a" * 60] * 3 + ["deepseek.com"])
    wire = query(name, use_edns=0, payload=512, options=SIGNAL)
    long = StructuredErrors("https://help.example.test/" + "x" * 100, "organisation " * 12)
    response = ask(responder(structured(long)), wire)
    assert isinstance(response, Answer)
    assert len(response.body) + 2 <= 512
    assert errors(answered(wire, response))[0][1].startswith("blocked by rule no-deepseek")


def test_too_long_a_text_loses_what_is_optional_first() -> None:
    assert "o" not in json.loads(structured_text(StructuredErrors("mailto:a@b", "기" * 300), "why"))
    assert structured_text(StructuredErrors("https://x/" + "y" * 700), "why") == ""


@pytest.mark.parametrize("code", [15, 16, 17, 18])
def test_the_code_of_a_block_is_the_segments(code: int) -> None:
    wire = query("chat.deepseek.com", use_edns=0)
    assert [found for found, _ in errors(answered(wire, ask(responder(structured(ede=code)), wire)))] == [code]
