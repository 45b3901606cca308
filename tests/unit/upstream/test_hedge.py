from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sumun.upstream.hedge import Budget, Pace


def test_nothing_is_usual_before_enough_is_known() -> None:
    pace = Pace()
    for _ in range(19):
        pace.note(0.1)
    assert pace.usual is None
    pace.note(0.1)
    assert pace.usual == 0.1


def test_one_answer_in_twenty_may_take_longer() -> None:
    pace = Pace()
    for n in range(100):
        pace.note(5.0 if n % 25 == 0 else 0.02)
    assert pace.usual == 0.02


def test_it_follows_a_server_that_becomes_slow() -> None:
    pace = Pace()
    for seconds in [0.01] * 100 + [0.5] * 100:
        pace.note(seconds)
    assert pace.usual == 0.5


def test_a_fast_network_is_not_asked_twice() -> None:
    pace = Pace()
    for _ in range(20):
        pace.note(0.0001)
    assert pace.usual == 0.002


@given(st.lists(st.booleans(), max_size=400))
def test_second_questions_are_a_tenth_at_most(steps: list[bool]) -> None:
    budget, first, second = Budget(), 0, 0
    for asks in steps:
        if asks:
            budget.asked()
            first += 1
        else:
            second += budget.take()
        assert second <= 0.1 * first + 1e-6
