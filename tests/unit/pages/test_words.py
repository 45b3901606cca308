"""Every language says everything, with the same places to fill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files

import pytest
import yaml

from sumun.pages.words import LANGUAGES, WordsFault, parse_words

ENGLISH = (files("sumun.pages") / "languages" / "en.yaml").read_text("utf-8")


def test_korean_and_english_are_there() -> None:
    assert {"en", "ko"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en"}))
def test_a_translation_leaves_no_text_in_english(language: str) -> None:
    theirs = yaml.safe_load((files("sumun.pages") / "languages" / f"{language}.yaml").read_text("utf-8"))
    same = {key for key, text in yaml.safe_load(ENGLISH).items() if theirs[key] == text}
    assert same <= {"direction"}


def test_guidance_has_its_five_points_in_every_language() -> None:
    assert {len(words.guidance_points) for words in LANGUAGES.values()} == {5}


@pytest.mark.parametrize(
    ("language", "text"),
    [("en", "5 January 2026, 09:07:03 UTC"), ("ko", "2026년 1월 5일 09:07:03 UTC")],
)
def test_a_time_is_written_in_utc(language: str, text: str) -> None:
    seoul = timezone(timedelta(hours=9))
    assert LANGUAGES[language].clock(datetime(2026, 1, 5, 18, 7, 3, tzinfo=seoul)) == text
    assert LANGUAGES[language].clock(datetime(2026, 1, 5, 9, 7, 3, tzinfo=UTC)) == text


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        pytest.param("why: Why\n", "", "`why`", id="missing"),
        pytest.param("why: Why\n", "why: Why\nwhat: ever\n", "`what`", id="unknown"),
        pytest.param("badge: Stopped", "bage: Stopped", "`block.bage`", id="unknown in a group"),
        pytest.param("  exemption:", "  exempt:", "`reasons.exempt`", id="not a reason"),
        pytest.param("why: Why", "why: {a: b}", "`why`", id="group for text"),
        pytest.param("why: Why", "why: no", "`why`", id="YAML reads no as false"),
        pytest.param("{incident})", "{number})", "`mail_subject`", id="other place"),
        pytest.param("why: Why", "why: '{service}'", "`why`", id="place where none is filled"),
        pytest.param("direction: ltr", "direction: up", "`direction`", id="direction"),
        pytest.param(", December]", "]", "`months`", id="eleven months"),
        pytest.param(
            "guidance_points:\n", "guidance_points: x\nguidance_points_old:\n", "guidance_points", id="no list"
        ),
    ],
)
def test_a_language_that_is_not_whole_is_refused(old: str, new: str, named: str) -> None:
    assert old in ENGLISH
    with pytest.raises(WordsFault) as refused:
        parse_words(ENGLISH.replace(old, new, 1))
    assert named in str(refused.value)


def test_a_file_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(WordsFault):
        parse_words("- a\n- b\n")
