from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.pages.language import negotiate

OURS = {"en", "ko", "pt-br"}


@pytest.mark.parametrize(
    ("field", "language"),
    [
        pytest.param("", "en", id="none"),
        pytest.param("ko", "ko", id="plain"),
        pytest.param("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", "ko", id="Chromium in Korea"),
        pytest.param("en-US,en;q=0.9,ko;q=0.8", "en", id="English before Korean"),
        pytest.param("fr, ko;q=0.3", "ko", id="first that we have"),
        pytest.param("en;q=0.2, ko;q=0.9", "ko", id="weights count, not order"),
        pytest.param("ko;q=0", "en", id="refused"),
        pytest.param("ko;q=0, *", "en", id="anything but Korean"),
        pytest.param("*", "en", id="anything"),
        pytest.param("*;q=0.1, ko;q=0.2", "ko", id="named before anything"),
        pytest.param("KO-kr", "ko", id="case"),
        pytest.param("ko-Kore-KR-x-private", "ko", id="long tag"),
        pytest.param("pt-BR", "pt-br", id="two-part tag of ours"),
        pytest.param("pt", "en", id="a broader tag does not match a narrower one"),
        pytest.param("kok", "en", id="Konkani is not Korean"),
        pytest.param("ko ; q = 0.8 , en;q=0.1", "ko", id="spaces"),
        pytest.param("ko;q=nan, en;q=0.1", "en", id="weight that is no number"),
        pytest.param("ko;q=1e9, en;q=0.1", "en", id="exponent"),
        pytest.param("ko;q=-1", "en", id="negative"),
        pytest.param(";;;,,,=,q=1", "en", id="garbage"),
        pytest.param("x," * 10_000 + "ko", "en", id="cut off"),
    ],
)
def test_the_best_liked_language_wins(field: str, language: str) -> None:
    assert negotiate(field, OURS) == language


@given(st.text(max_size=300))
def test_any_field_gives_a_language_of_ours(field: str) -> None:
    assert negotiate(field, OURS) in OURS
