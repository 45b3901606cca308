from __future__ import annotations

from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from sumun.sinkhole.mmsg import SLOTS, _runs

some_slots = st.sets(st.integers(0, SLOTS - 1), min_size=1).map(sorted)


@given(some_slots)
def test_runs_are_the_slots_in_as_few_calls_as_can_be(slots: list[int]) -> None:
    runs = list(_runs(slots))
    assert list(chain.from_iterable(range(*run) for run in runs)) == slots
    assert all(end < start for (_, end), (start, _) in pairwise(runs))


def test_all_slots_are_one_run() -> None:
    assert list(_runs(range(SLOTS))) == [(0, SLOTS)]
