from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.pages.weights import weighted


@pytest.mark.parametrize(
    ("field", "pairs"),
    [
        pytest.param("a", [("a", 1.0)], id="no weight is the highest"),
        pytest.param("A;q=0.5, b;level=1;Q=.3", [("a", 0.5), ("b", 0.3)], id="case and other parameters"),
        pytest.param("a;q=7", [("a", 1.0)], id="more than the highest"),
        pytest.param("a;q=0.12345", [("a", 0.0)], id="more digits than allowed"),
        pytest.param("a;q=\u0663", [("a", 0.0)], id="digit of another script"),
        pytest.param("a;q=inf,b;q=", [("a", 0.0), ("b", 0.0)], id="no number"),
    ],
)
def test_values_come_with_their_weights(field: str, pairs: list[tuple[str, float]]) -> None:
    assert list(weighted(field)) == pairs


@given(st.text(max_size=200))
def test_a_weight_lies_between_nothing_and_all(field: str) -> None:
    assert all(0.0 <= weight <= 1.0 for _, weight in weighted(field))
