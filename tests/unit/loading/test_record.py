"""Records survive a restart; damaged ones are as if there were none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sumun.config.settings import ListSource
from sumun.loading.fetch import Validators
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.record import ListStore, Record
from tests.support.builders import NOON

KEPT = Record(
    "https://l.example/", "0" * 64, '"tag"', "Mon, 05 Jan 2026 12:00:00 GMT", 5, 1, NOON, NOON, NOON, NOON, "updated"
)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    store = ListStore(tmp_path)
    store.keep("far", KEPT, "one.example\n")
    assert ListStore(tmp_path).record("far") == KEPT
    assert store.copy("far").read_text() == "one.example\n"


def test_a_record_without_its_copy_makes_no_request_conditional(tmp_path: Path) -> None:
    store, source = ListStore(tmp_path), ListSource("far", "domains", url=KEPT.url)
    store.keep("far", KEPT, "one.example\n")
    assert store.record("far").validators(source) == Validators(KEPT.etag, KEPT.last_modified)
    assert KEPT.validators(replace(source, url="https://m.example/")) == Validators()
    store.copy("far").unlink()
    assert store.record("far").validators(source) == Validators()


def test_a_failure_changes_nothing_of_the_version_at_hand() -> None:
    failed = KEPT.failed(NotTaken(Outcome.HTML, "it is a web page"), NOON)
    assert (failed.sha256, failed.confirmed_at, failed.outcome, failed.failures) == ("0" * 64, NOON, "html", 1)
    assert failed.taken(NOON).message == ""


@pytest.mark.parametrize(
    "change",
    [
        {"entries": "5"},
        {"taken_at": "yesterday"},
        {"taken_at": "2026-01-05T12:00:00"},
        {"etag": None},
        {"failures": True},
    ],
    ids=str,
)
def test_a_damaged_record_is_none(tmp_path: Path, change: dict[str, object]) -> None:
    store = ListStore(tmp_path)
    store.keep("far", KEPT, "one.example\n")
    path = tmp_path / "lists" / "far.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert store.record("far") == Record()


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_what_is_no_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "far.json").write_text(text)
    assert ListStore(tmp_path).record("far") == Record()
