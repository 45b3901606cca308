"""Every outcome, format and key of lists is in the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from sumun.catalogue.built_in import BUILT_IN
from sumun.catalogue.lists import FORMATS
from sumun.config.raw_list import RawList
from sumun.loading.outcome import NotTaken, Outcome

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "lists.md").read_text()


@pytest.mark.parametrize("word", [*Outcome, *FORMATS, *BUILT_IN, *RawList.model_fields])
def test_is_documented(word: str) -> None:
    assert any(line.startswith("|") and f"`{word}`" in line for line in REFERENCE.splitlines())


def test_what_may_pass_is_told_from_what_stays() -> None:
    assert NotTaken(Outcome.TRUNCATED, "x").passing
    assert not NotTaken(Outcome.HTML, "x").passing
    assert NotTaken(Outcome.STATUS, "x", passing=True).passing
    assert [outcome for outcome in Outcome if outcome.good] == [Outcome.UPDATED, Outcome.UNCHANGED]
