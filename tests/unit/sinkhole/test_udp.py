from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sumun.sinkhole.udp import _answered

CLIENTS = [bytes([127, 0, 0, n]) for n in range(16)]


@given(st.lists(st.integers(0, len(CLIENTS) - 1), unique=True))
def test_who_is_answered_is_everybody_but_those_left_out(left_out: list[int]) -> None:
    slots, clients = _answered(CLIENTS, left_out)
    assert sorted([*slots, *left_out]) == list(range(len(CLIENTS)))
    assert list(slots) == sorted(slots)
    assert clients == [CLIENTS[slot] for slot in slots]
