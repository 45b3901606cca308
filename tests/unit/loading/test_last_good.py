"""The last good texts survive, whole and private, and only for the configuration they came from."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from sumun.loading import last_good
from sumun.loading.last_good import FILE_NAME, restore, save, state_folder
from sumun.loading.sources import Sources

HERE = Path("c.yaml")
TEXTS = Sources(HERE, "설정", {"services/a.yaml": "1"}, {"l": "2"})


def test_what_is_saved_is_restored(tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    save(TEXTS, state)
    assert restore(HERE, state) == TEXTS
    assert [path.name for path in state.iterdir()] == [FILE_NAME]
    assert stat.S_IMODE((state / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_the_newer_replaces_the_older(tmp_path: Path) -> None:
    newer = Sources(HERE, "newer", TEXTS.services)
    save(TEXTS, tmp_path)
    save(newer, tmp_path)
    assert restore(HERE, tmp_path) == newer


def test_the_same_is_not_written_again(tmp_path: Path) -> None:
    save(TEXTS, tmp_path)
    before = (tmp_path / FILE_NAME).stat().st_ino
    save(TEXTS, tmp_path)
    assert (tmp_path / FILE_NAME).stat().st_ino == before


def test_another_configuration_gets_nothing(tmp_path: Path) -> None:
    save(TEXTS, tmp_path)
    assert restore(Path("other.yaml"), tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"config": 3},
        {"services": ["x"]},
        {"lists": {"l": 1}},
        {"config": "changed by hand"},
        {"revision": None},
    ],
    ids=str,
)
def test_what_cannot_be_trusted_is_not_restored(tmp_path: Path, change: dict[str, object]) -> None:
    save(TEXTS, tmp_path)
    path = tmp_path / FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    assert restore(HERE, tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\xff"])
def test_a_damaged_file_is_not_restored(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text, "latin-1")
    assert restore(HERE, tmp_path) is None


def test_a_file_that_others_may_write_is_not_restored(tmp_path: Path) -> None:
    save(TEXTS, tmp_path)
    (tmp_path / FILE_NAME).chmod(0o620)
    assert restore(HERE, tmp_path) is None


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    save(TEXTS, tmp_path / "real")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE_NAME).symlink_to(tmp_path / "real" / FILE_NAME)
    assert restore(HERE, tmp_path / "state") is None


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(OSError, match="directory"):
        save(TEXTS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("version: 1\nstate: /a/b\nsegments: {a: {}}", "/a/b"),
        ("state: '/a/b'  # why\nsegments: [", "/a/b"),
        ("version: 1\nsegments: [", "var"),
        ("  state: x\n:", "var"),
    ],
)
def test_the_state_folder_is_found_in_a_broken_file_too(text: str, state: str) -> None:
    assert state_folder(text) == Path(state)


def test_the_name_is_part_of_the_layout_of_the_state() -> None:
    assert last_good.FILE_NAME == "last-good.json"
