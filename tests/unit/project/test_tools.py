"""The set-up finds an interpreter that works, or says what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.project import ROOT

FIND = ROOT / "tools/find-python"


def _program(folder: Path, name: str, *lines: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def _find(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Look with nothing in PATH but ``bin`` and no home but ``tmp_path``."""
    clean = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), **environment}
    command = ["/bin/sh", str(FIND)]
    return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=30, check=False)


def _real(folder: Path, name: str) -> None:
    _program(folder, name, f'exec "{sys.executable}" "$@"')


def test_an_interpreter_in_path(tmp_path: Path) -> None:
    _real(tmp_path / "bin", "python3.12")
    found = _find(tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.strip() == sys.executable


def test_a_shim_that_only_complains_is_passed_over(tmp_path: Path) -> None:
    """A pyenv shim is in PATH for every version there is, and fails for all that are not selected."""
    _program(tmp_path / "bin", "python3.12", 'echo "pyenv: python3.12: command not found" >&2', "exit 127")
    _program(tmp_path / "bin", "python3", "echo old 3.11.2")
    _real(tmp_path / ".pyenv/versions/3.12.4/bin", "python")
    found = _find(tmp_path)
    assert found.returncode == 0
    assert found.stdout.strip() == sys.executable


def test_an_interpreter_of_uv(tmp_path: Path) -> None:
    _real(tmp_path / "managed", "python3.12")
    _program(tmp_path / "bin", "uv", f'echo "{tmp_path}/managed/python3.12"')
    assert _find(tmp_path).stdout.strip() == sys.executable


def test_the_named_interpreter_wins(tmp_path: Path) -> None:
    _program(tmp_path / "bin", "python3.12", "echo good /not/this/one")
    _real(tmp_path, "mine")
    assert _find(tmp_path, PYTHON=str(tmp_path / "mine")).stdout.strip() == sys.executable


@pytest.mark.parametrize("name", ["old", "absent"])
def test_a_named_interpreter_that_will_not_do_is_not_replaced_by_another(tmp_path: Path, name: str) -> None:
    _real(tmp_path / "bin", "python3.12")
    old = _program(tmp_path, "old", "echo old 3.9.2")
    found = _find(tmp_path, PYTHON=str(old.with_name(name)))
    assert (found.returncode, found.stdout) == (1, "")
    assert f"{tmp_path}/{name}` is no Python 3.12 or newer" in found.stderr


def test_only_old_ones(tmp_path: Path) -> None:
    _program(tmp_path / "bin", "python3", "echo old 3.11.2")
    found = _find(tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    assert "Sumun needs Python 3.12 or newer; found only: 3.11.2" in found.stderr
    assert {"apt-get", "pyenv", "uv"} <= set(re.findall(r"[\w-]+", found.stderr))


def test_nothing_at_all(tmp_path: Path) -> None:
    found = _find(tmp_path)
    assert found.returncode == 1
    assert "none at all" in found.stderr


def test_an_interpreter_without_venv(tmp_path: Path) -> None:
    """Debian packs ensurepip separately, and `python3 -m venv` fails half-way without it."""
    _program(tmp_path / "bin", "python3", "echo bare 3.13")
    found = _find(tmp_path)
    assert found.returncode == 1
    assert "sudo apt-get install python3.13-venv" in found.stderr


def test_make_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    shown = subprocess.run(["make", "-C", ROOT, "-s"], capture_output=True, text=True, timeout=30, check=True).stdout
    assert set(re.findall(r"^  make (\w+)", shown, re.MULTILINE)) == targets
    assert targets >= {"help", "setup", "run", "test", "check", "bench", "clean"}


@pytest.mark.parametrize("script", [".ci/run", "tools/setup", "tools/lock", "tools/find-python"])
def test_scripts_are_valid_and_executable(script: str) -> None:
    path = ROOT / script
    shell = path.read_text().splitlines()[0].removeprefix("#!")
    assert path.stat().st_mode & 0o111
    subprocess.run([shell, "-n", path], check=True, timeout=60)
