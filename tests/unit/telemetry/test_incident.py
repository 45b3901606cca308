from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sumun.telemetry.incident import new_id
from tests.support.builders import NOON

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.integers(0, 35_000_000_000_000), st.integers(1, 86_400_000))
def test_ids_sort_by_time(milliseconds: int, later: int) -> None:
    at = EPOCH + timedelta(milliseconds=milliseconds)
    assert new_id(at) < new_id(at + timedelta(milliseconds=later))


def test_an_id_is_four_groups_without_letters_that_look_like_digits() -> None:
    ids = {new_id(NOON) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", text) for text in ids)
