"""The import contracts hold, and each of them fails on a planted violation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.project import ROOT

_PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LAYERS, CORE = _PYPROJECT["tool"]["importlinter"]["contracts"]


def _rows() -> list[list[str]]:
    return [row.split(" | ") for row in LAYERS["layers"]]


def _upward() -> Iterator[tuple[str, str]]:
    """From each package of a row to each of the row above."""
    for above, below in pairwise(_rows()):
        yield from ((low, high) for low in below for high in above)


def _sideways() -> Iterator[tuple[str, str]]:
    """Between packages of one row, each to its neighbour and the last to the first."""
    for row in _rows():
        if len(row) > 1:
            yield from zip(row, [*row[1:], row[0]], strict=True)


def test_the_architecture_shows_the_layers_as_they_are() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text()
    table = page.partition("## Layers")[2].partition("##")[0]
    shown = [set(re.findall(r"`([a-z]+)`", row)) for row in re.findall(r"^\| [a-z].*\| (.*) \|$", table, re.MULTILINE)]
    assert [row for row in shown if row] == [set(row) for row in _rows()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "addon", tmp_path / "addon", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _plant(checkout: Path, package: str, imported: str, name: str) -> str:
    """Put a module with one import into a package, or a line at the end of a module; returns its dotted name."""
    folder = checkout / "addon/sumun" / package
    if folder.is_dir():
        (folder / f"{name}.py").write_text(f"import {imported}\n")
        return f"sumun.{package}.{name}"
    with folder.with_suffix(".py").open("a") as module:
        module.write(f"\nimport {imported}\n")
    return f"sumun.{package}"


def _lint(checkout: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(checkout / "addon"), "COLUMNS": "400", "NO_COLOR": "1"}
    command = [str(program), "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def _broken(answer: subprocess.CompletedProcess[str], contract: dict[str, Any]) -> bool:
    return f"{contract['name']} BROKEN" in answer.stdout


def test_the_package_as_it_is_keeps_the_contracts(checkout: Path) -> None:
    answer = _lint(checkout)
    assert answer.returncode == 0, answer.stdout
    assert f"{LAYERS['name']} KEPT" in answer.stdout
    assert f"{CORE['name']} KEPT" in answer.stdout


@pytest.mark.parametrize(("pairs", "at_least"), [(_upward, 15), (_sideways, 10)], ids=["upward", "sideways"])
def test_an_import_against_the_layers_is_found(checkout: Path, pairs: Any, at_least: int) -> None:
    planted = [
        (_plant(checkout, low, f"sumun.{high}", f"planted_{number}"), f"sumun.{high}")
        for number, (low, high) in enumerate(pairs())
    ]
    answer = _lint(checkout)
    assert answer.returncode == 1
    assert _broken(answer, LAYERS)
    assert len(planted) >= at_least
    assert [plant for plant in planted if f"{plant[0]} -> {plant[1]}" not in answer.stdout] == []


def test_a_package_without_a_layer_is_found(checkout: Path) -> None:
    (checkout / "addon/sumun/unplaced").mkdir()
    (checkout / "addon/sumun/unplaced/__init__.py").touch()
    answer = _lint(checkout)
    assert answer.returncode == 1
    assert "unplaced" in answer.stdout


def test_a_framework_in_the_core_is_found(checkout: Path) -> None:
    pairs = [(package.removeprefix("sumun."), word) for package in CORE["source_modules"]
             for word in CORE["forbidden_modules"]]  # fmt: skip
    planted = [
        (_plant(checkout, package, module, f"planted_{number}"), module)
        for number, (package, module) in enumerate(pairs)
    ]
    answer = _lint(checkout)
    assert answer.returncode == 1
    assert _broken(answer, CORE)
    assert len(planted) >= 40
    assert [plant for plant in planted if f"{plant[0]} -> {plant[1]}" not in answer.stdout] == []
