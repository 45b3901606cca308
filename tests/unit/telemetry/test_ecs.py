from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.decision import Reason
from sumun.model.event import Context
from sumun.model.grant import Grant, GrantKind
from sumun.model.request import Facet
from sumun.model.rule import Action, Exemption, Mode
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.policy.grants import Grants
from sumun.telemetry.ecs import clean, to_ecs
from sumun.telemetry.spool import encode
from tests.support.builders import DEEPSEEK, NOON, ip_address, ip_network, policy, rule, segment
from tests.unit.telemetry.fakes import attempt, record, seconds

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "events.md").read_text()
FIELDS = REFERENCE.partition("## Fields")[2].partition("## Verdicts")[0]
NEEDS_CONTENT = policy(
    segment("office", "10.0.0.0/8", rules=[rule("no-secrets", "block", content=["secret"])]), services=[DEEPSEEK]
)
WITH_SHADOW = policy(
    segment("office", "10.0.0.0/8", rules=[rule("trial", "block", services=["deepseek"], mode=Mode.SHADOW)]),
    services=[DEEPSEEK],
)
EXEMPT = policy(
    segment("office", "10.0.0.0/8", rules=[rule("no-deepseek", "block", services=["deepseek"])]),
    services=[DEEPSEEK],
    exemptions=[Exemption("audit", "deepseek", NOON + timedelta(days=1), client=ip_network("10.0.0.7/32"))],
)
BROWSER = Context(protocol="https", server_name="chat.deepseek.com", user_agent="Browser/1.0")


def test_a_sinkholed_question_in_full() -> None:
    event = attempt(point=Point.DNS)
    document = to_ecs(record(event, id="ID", count=3, last_seen=NOON + seconds(0.5)))
    assert document == {
        "@timestamp": "2026-01-05T12:00:00.000Z",
        "ecs": {"version": "9.0.0"},
        "event": {
            "id": "ID", "kind": "event", "category": ["network"], "type": ["protocol", "denied"],
            "outcome": "success", "action": "sinkholed", "reason": "rule",
        },
        "source": {"ip": "127.0.0.3"},
        "destination": {"domain": "chat.deepseek.com"},
        "dns": {"question": {"name": "chat.deepseek.com", "type": "A"}},
        "observer": {"ingress": {"zone": "military-use"}},
        "rule": {"id": "no-generative-ai", "version": "test"},
        "sumun": {
            "point": "dns", "segment": "military-use", "service": "deepseek", "action": "block",
            "verdict": "sinkholed", "mode": "enforce", "policy_revision": "test", "count": 3,
            "first_seen": "2026-01-05T12:00:00.000Z", "last_seen": "2026-01-05T12:00:00.500Z", "data_exposed": "none",
        },
    }  # fmt: skip


def test_a_page_shown_tells_url_method_server_name_and_user_agent() -> None:
    event = attempt(
        point=Point.HTTP, verdict=Verdict.BLOCK_PAGE, context=BROWSER, method="POST", path="/chat", port=443
    )
    document = to_ecs(record(event))
    assert document["event"]["category"] == ["network", "web"]
    assert document["event"]["type"] == ["access", "denied"]
    assert document["url"] == {"domain": "chat.deepseek.com", "scheme": "https"}
    assert document["http"] == {"request": {"method": "POST"}}
    assert document["tls"] == {"client": {"server_name": "chat.deepseek.com"}}
    assert document["user_agent"] == {"original": "Browser/1.0"}
    assert document["destination"] == {"domain": "chat.deepseek.com", "port": 443}
    assert "dns" not in document


def test_an_undetermined_outcome_says_what_it_needs() -> None:
    event = attempt("10.0.0.7", policy=NEEDS_CONTENT, verdict=Verdict.STEERED, data_exposed=DataExposed.NONE)
    document = to_ecs(record(event))
    assert document["sumun"]["action"] == document["event"]["reason"] == "undetermined"
    assert document["sumun"]["needs"] == ["content"]
    assert document["event"]["type"] == ["protocol"], "neither allowed nor denied yet"
    assert document["rule"] == {"version": "test"}


def test_detectors_are_named_and_nothing_of_what_they_matched() -> None:
    event = attempt("10.0.0.7", policy=NEEDS_CONTENT, content=frozenset({"secret"}), path="/x?rrn=900101-1234567")
    document = to_ecs(record(event))
    assert document["sumun"]["detectors"] == ["secret"]
    assert "900101" not in json.dumps(document)


def test_a_shadow_record_names_its_rule_and_action_beside_what_happened() -> None:
    event = attempt("10.0.0.7", policy=WITH_SHADOW, verdict=Verdict.FORWARDED)
    document = to_ecs(record(event, shadow=event.outcome.shadows[0]))
    assert document["rule"]["id"] == "trial"
    assert (document["sumun"]["action"], document["sumun"]["mode"]) == ("block", "shadow")
    assert document["event"]["action"] == document["sumun"]["verdict"] == "forwarded"
    assert document["event"]["type"] == ["protocol", "allowed"]


def test_an_exemption_stands_where_the_rule_would() -> None:
    document = to_ecs(record(attempt("10.0.0.7", policy=EXEMPT, verdict=Verdict.FORWARDED)))
    assert document["rule"] == {"id": "exemption:audit", "version": "test"}
    assert document["event"]["reason"] == "exemption"


def test_an_attempt_without_a_name_tells_the_address() -> None:
    event = attempt(name=None, address=ip_address("192.0.2.9"), port=443, point=Point.GATE, verdict=Verdict.REFUSED)
    document = to_ecs(record(event))
    assert document["destination"] == {"ip": "192.0.2.9", "port": 443}
    assert document["url"] == {"domain": "192.0.2.9"}
    assert document["sumun"]["service"] == "none"


def test_going_round_the_filter_is_an_alert_and_a_failure_is_no_success() -> None:
    document = to_ecs(record(attempt(context=Context(bypass="no_server_name", failure=True))))
    assert document["event"]["kind"] == "alert"
    assert document["event"]["outcome"] == "failure"
    assert document["sumun"]["bypass"] == "no_server_name"


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_has_a_place(verdict: Verdict) -> None:
    kinds = to_ecs(record(attempt(verdict=verdict)))["event"]["type"]
    passed = {
        Verdict.FORWARDED: ["allowed"],
        Verdict.SPLICED: ["allowed"],
        Verdict.STEERED: [],
        Verdict.INTERCEPTED: [],
    }
    assert kinds == ["protocol", *passed.get(verdict, ["denied"])]


@given(st.text(st.characters(exclude_categories=()), max_size=600))
def test_no_untrusted_text_breaks_a_line_or_a_terminal(text: str) -> None:
    context = Context(dns_type=text, server_name=text, user_agent=text, bypass=text, protocol=text)
    line = encode(record(attempt(context=context, method=text)))
    assert line.count(b"\n") == 1
    document = json.loads(line)
    assert all(len(value) <= 256 and value.isprintable() for value in _texts(document))


def test_text_is_cut_visibly_and_left_alone_otherwise() -> None:
    assert clean("x" * 300) == "x" * 255 + "…"
    assert clean("한국어 Browser/1.0") == "한국어 Browser/1.0"
    assert clean("a\x1b[31m\u202eb") == "a\ufffd[31m\ufffdb"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _texts(entry)


SEEN = Context("A", "udp", "n.example", "Browser", "ech", pinned=True)
FULLEST = [
    attempt(context=SEEN, address=ip_address("192.0.2.1"), port=53, user="kim"),
    attempt(point=Point.HTTP, context=BROWSER, method="GET", content=frozenset({"secret"})),
    attempt("10.0.0.7", policy=NEEDS_CONTENT, verdict=Verdict.STEERED),
    attempt(
        "10.0.0.7",
        policy=policy(
            segment("office", "10.0.0.0/8", rules=[rule("r", "block", services=["deepseek"], reference="Notice 7")]),
            services=[DEEPSEEK],
        ),
    ),
    attempt(
        "10.0.0.7",
        verdict=Verdict.SPLICED,
        policy=policy(segment("office", "10.0.0.0/8"), services=[DEEPSEEK]).granting(
            Grants([Grant("G1", GrantKind.EXEMPTION, NOON + timedelta(1), "deepseek", client=ip_network("10.0.0.7"))])
        ),
    ),
]


def test_every_field_is_documented() -> None:
    fields = {field for event in FULLEST for field in _fields(to_ecs(record(event)))}
    assert {"event.id", "sumun.needs", "sumun.detectors", "sumun.bypass", "rule.reference", "destination.ip"} <= fields
    assert len(fields) >= 38
    assert [field for field in sorted(fields) if f"| `{field}` |" not in FIELDS] == []


@pytest.mark.parametrize("verdict", Verdict)
def test_every_verdict_is_documented(verdict: Verdict) -> None:
    assert f"| `{verdict}` |" in REFERENCE.partition("## Verdicts")[2]


@pytest.mark.parametrize("word", [*Reason, *DataExposed, *Facet, *Action, *Point])
def test_every_word_of_a_closed_set_is_documented(word: str) -> None:
    assert f"`{word}`" in FIELDS


def test_nothing_is_documented_that_is_not_written() -> None:
    fields = {field for event in FULLEST for field in _fields(to_ecs(record(event)))}
    documented = {line.split("`")[1] for line in FIELDS.splitlines() if line.startswith("| `")}
    assert documented - fields == set()


def test_the_example_of_the_documents_has_the_shape_of_an_event() -> None:
    example = json.loads(REFERENCE.split("```json\n")[1].split("```")[0])
    fields = {field for event in FULLEST for field in _fields(to_ecs(record(event)))}
    assert set(_fields(example)) <= fields


def _fields(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{prefix}{key}.")
        else:
            yield prefix + key
