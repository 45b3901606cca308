from __future__ import annotations

import dns.message
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.sinkhole.cache import Cache, Hit, key_of, times_to_live
from tests.unit.sinkhole.asking import query

SOA = "example.test. 600 IN SOA ns.example.test. root.example.test. 1 3600 600 86400 120"
SOA_OF_A_DAY = "example.test. 86400 IN SOA ns.example.test. root.example.test. 1 3600 600 86400 86400"
ALIAS = "www.example.test. 300 IN CNAME w.example.test."
QUERY = query("www.example.test", use_edns=0)
KEY = key_of(QUERY)


def reply(*lines: str, authority: tuple[str, ...] = (), rcode: str = "NOERROR", wire: bytes = QUERY) -> bytes:
    asked = dns.message.from_wire(wire).question[0]
    question = f"{asked.name} IN {dns.rdatatype.to_text(asked.rdtype)}"
    head = ["id 0", "opcode QUERY", f"rcode {rcode}", "flags QR RD RA", "edns 0", ";QUESTION", question]
    return dns.message.from_text("\n".join([*head, ";ANSWER", *lines, ";AUTHORITY", *authority])).to_wire()


def known(wire: bytes, at: float, kept: float = 0.0) -> Hit | None:
    cache = Cache()
    cache.keep(KEY, wire, kept)
    return cache.find(KEY, at)


def ttls(hit: Hit | None) -> list[int]:
    assert hit
    return [ttl for _, ttl in times_to_live(hit.reply)]


POSITIVE = reply("www.example.test. 300 IN CNAME w.example.test.", "w.example.test. 60 IN A 192.0.2.80")


def test_times_to_live_count_down_together() -> None:
    assert ttls(known(POSITIVE, 0.5)) == [300, 60]
    assert ttls(known(POSITIVE, 12.9)) == [288, 48]
    hit = known(POSITIVE, 59.9)
    assert ttls(hit) == [241, 1]
    assert hit
    assert hit.fresh


def test_after_its_time_an_answer_is_stale_and_then_forgotten() -> None:
    hit = known(POSITIVE, 60)
    assert hit
    assert not hit.fresh
    assert ttls(hit) == [30, 30]
    assert known(POSITIVE, 60 + 86_400) is None


def test_a_clock_set_back_makes_nothing_live_longer() -> None:
    assert known(POSITIVE, 99, kept=100) is None


@pytest.mark.parametrize(
    ("wire", "lifetime"),
    [
        pytest.param(POSITIVE, 60, id="the shortest"),
        pytest.param(reply(authority=(SOA,), rcode="NXDOMAIN"), 120, id="no name: the SOA's minimum"),
        pytest.param(reply(authority=(SOA.replace(" 600 IN", " 50 IN"),)), 50, id="no data: the SOA's own time"),
        pytest.param(reply(authority=(SOA_OF_A_DAY,)), 3600, id="bound"),
        pytest.param(reply(ALIAS, authority=(SOA,)), 120, id="chain to no data"),
        pytest.param(reply("www.example.test. 604800 IN A 192.0.2.80"), 86_400, id="a week is a day"),
        pytest.param(reply(), 0, id="no data without SOA"),
        pytest.param(reply(rcode="NXDOMAIN"), 0, id="no name without SOA"),
        pytest.param(reply("www.example.test. 0 IN A 192.0.2.80"), 0, id="nought"),
        pytest.param(reply("www.example.test. 60 IN A 192.0.2.80", rcode="SERVFAIL"), 0, id="failure"),
        pytest.param(POSITIVE[:2] + b"\x83" + POSITIVE[3:], 0, id="truncated"),
        pytest.param(POSITIVE[:-9], 0, id="malformed"),
    ],
)  # fmt: skip
def test_an_answer_lives_as_long_as_its_owner_says(wire: bytes, lifetime: int) -> None:
    if not lifetime:
        assert known(wire, 0) is None
        return
    before, after = known(wire, lifetime - 0.1), known(wire, lifetime)
    assert before
    assert before.fresh
    assert after
    assert not after.fresh


def test_the_last_tenth_is_for_asking_again() -> None:
    early, late = known(POSITIVE, 50), known(POSITIVE, 55)
    assert early
    assert late
    assert (early.ask_again, early.until) == (False, 54)
    assert (late.ask_again, late.until) == (True, 56)
    short = known(reply("www.example.test. 5 IN A 192.0.2.80"), 4.9)
    assert short
    assert not short.ask_again


@pytest.mark.parametrize("more", [{"want_dnssec": True}, {"flags": "RD CD"}, {"flags": "RD AD"}, {}], ids=str)
def test_questions_that_differ_for_an_upstream_are_kept_apart(more: dict[str, object]) -> None:
    flags = {"flags": dns.flags.from_text(str(more["flags"]))} if "flags" in more else {}
    other = query("www.example.test", **{**more, **flags})
    assert key_of(other) != KEY


def test_spelling_and_id_make_no_difference() -> None:
    assert key_of(query("WWW.example.TEST", use_edns=0, id=7)) == KEY


def test_failures_are_remembered_longer_each_time() -> None:
    cache, ends = Cache(), []
    now = 0.0
    for _ in range(9):
        cache.fail(KEY, now)
        assert cache.failed(KEY, now)
        lasted = next(seconds for seconds in range(1, 400) if not cache.failed(KEY, now + seconds))
        ends.append(lasted)
        now += lasted
    assert ends == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    cache.keep(KEY, POSITIVE, now)
    cache.fail(KEY, now)
    assert not cache.failed(KEY, now + 1), "an answer ends the row"


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), max_size=200))
def test_it_stays_within_its_bounds(steps: list[tuple[int, int]]) -> None:
    cache = Cache(max_octets=20_000)
    for number, records in steps:
        wire = query(f"n{number}.example.test")
        cache.keep(
            key_of(wire), reply(*(f"n{number}.example.test. 60 IN A 192.0.2.{n}" for n in range(records)), wire=wire), 0
        )
        assert cache._octets <= 20_000 + 2_000
        assert cache._octets == sum(len(k) + len(e.reply) + 600 for k, e in cache._entries.items())


@given(st.binary(max_size=60), st.integers(0, 11))
def test_octets_of_any_kind_are_kept_or_not_but_never_break(noise: bytes, cut: int) -> None:
    for wire in (POSITIVE[: 12 + cut] + noise, POSITIVE + noise, noise):
        hit = known(wire, 3)
        assert hit is None or len(hit.reply) == len(wire)
