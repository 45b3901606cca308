"""Users of a file that changes while it is used."""

from __future__ import annotations

import os
from pathlib import Path

import bcrypt
import pytest

from sumun.model.user import Identity
from sumun.users.errors import UsersFault
from sumun.users.file import UserFile


def write(path: Path, **passwords: str) -> Path:
    lines = [f"{n}:{bcrypt.hashpw(p.encode(), bcrypt.gensalt(5)).decode()}\n" for n, p in passwords.items()]
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(lines))
    fresh.chmod(0o600)
    fresh.replace(path)
    return path


def test_a_change_counts_at_once_and_a_fault_changes_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "users", kim="one")
    users = UserFile(path)
    assert users.check("kim", b"one") == Identity("kim")
    write(path, kim="two", lee="three")
    assert users.check("kim", b"one") is None
    assert users.check("lee", b"three") == Identity("lee")
    path.write_text("kim:$apr1$x$y\n")
    os.utime(path, (1, 1))
    assert users.check("lee", b"three") == Identity("lee")
    path.unlink()
    assert users.check("lee", b"three") == Identity("lee")


def test_nobody_is_in_an_empty_file(tmp_path: Path) -> None:
    users = UserFile(write(tmp_path / "users"))
    assert users.check("kim", b"one") is None


@pytest.mark.parametrize(("mode", "text", "why"), [(0o644, "", "chmod o="), (0o600, "kim:x", "line 1")])
def test_a_file_that_cannot_be_used_is_a_fault_at_the_start(tmp_path: Path, mode: int, text: str, why: str) -> None:
    path = tmp_path / "users"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(UsersFault, match=why):
        UserFile(path)
    with pytest.raises(UsersFault, match="cannot be read"):
        UserFile(tmp_path / "none")
