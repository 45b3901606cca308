"""How faults print, sort and repeat what somebody wrote."""

from __future__ import annotations

import pytest

from sumun.config.fault import ConfigError, Fault, did_you_mean, one_of, quoted


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault("c.yaml", 12, "/segments/a", "m"), "c.yaml:12: /segments/a: m"),
        (Fault("c.yaml", 12, "", "m"), "c.yaml:12: m"),
        (Fault("c.yaml", 0, "", "m"), "c.yaml: m"),
    ],
)
def test_a_fault_prints_where_it_is(fault: Fault, text: str) -> None:
    assert str(fault) == text


def test_faults_come_in_the_order_of_the_file_and_once() -> None:
    late, early = Fault("c", 10, "/b", "m"), Fault("c", 9, "/a", "m")
    assert ConfigError([late, early, late]).faults == (early, late)


@pytest.mark.parametrize(
    ("value", "text"),
    [("a\nb", "`a\\x0ab`"), (True, "`true`"), (3, "`3`"), ("x" * 201, f"`{'x' * 200}…`"), ("수문", "`수문`")],
)
def test_input_is_repeated_on_one_line_and_bounded(value: object, text: str) -> None:
    assert quoted(value) == text


def test_the_nearest_word_is_offered_in_its_own_spelling() -> None:
    assert did_you_mean("asia/soul", ["Asia/Seoul", "Asia/Tokyo"]) == "; did you mean `Asia/Seoul`?"
    assert did_you_mean("zzz", ["Asia/Seoul"]) == ""


def test_choices_are_listed() -> None:
    assert one_of(["a", "b", "c"]) == "a, b or c"
