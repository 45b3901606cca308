"""Answers that are kept ready: what they share, and how those of another policy go."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from sumun.policy.engine import Policy
from sumun.sinkhole.outcome import Answer
from sumun.sinkhole.ready import ReadyAnswers, Table
from sumun.sinkhole.responder import Responder
from tests.support.builders import DEEPSEEK, NOON, policy, rule, segment
from tests.unit.sinkhole.asking import query, responder

CLIENT = ip_address("10.20.0.1")
NAMES = [f"n{number}.deepseek.com" for number in range(300)]


def blocking() -> Policy:
    block = rule("no-deepseek", "block", services=["deepseek"])
    return policy(segment("military", "10.20.0.0/16", rules=[block]), services=[DEEPSEEK])


def asked(it: Responder, names: list[str]) -> list[Answer]:
    found = []
    for name in names:
        answer = it.on_query(query(name), CLIENT, "udp", at=NOON)
        assert isinstance(answer, Answer)
        found.append(answer)
    return found


def test_answers_of_a_kind_share_all_but_their_octets_and_still_tell_their_names() -> None:
    found = asked(responder(blocking()), NAMES)
    assert len({id(answer.attempt) for answer in found}) == 1
    assert len({id(answer.labels) for answer in found}) == 1
    assert [str(attempt.name) for answer in found if (attempt := answer.tried())] == NAMES
    assert len({answer.body for answer in found}) == len(NAMES)


def test_an_answer_of_another_type_is_of_another_kind() -> None:
    it = responder(blocking())
    one, other = (it.on_query(query(NAMES[0], kind), CLIENT, "udp", at=NOON) for kind in ("A", "TXT"))
    assert isinstance(one, Answer)
    assert isinstance(other, Answer)
    assert one.attempt
    assert other.attempt
    assert (one.attempt.dns_type, other.attempt.dns_type) == ("A", "TXT")


def test_another_policy_finds_nothing_and_the_old_answers_go_little_by_little() -> None:
    ready, old, new = ReadyAnswers(), blocking(), blocking()
    table: Table = ready.table(old, CLIENT, "udp", lambda: "military")
    (answer,) = asked(responder(old), NAMES[:1])
    for number in range(1000):
        ready.keep(table, struct.pack("!HI", 0, number), answer, None)
    left = []
    while table:
        assert ready.udp_tables(new) == {}
        left.append(len(table))
    assert len(left) > 2
    assert left == sorted(left, reverse=True)
    assert ready.table(new, CLIENT, "udp", lambda: "military") == {}
