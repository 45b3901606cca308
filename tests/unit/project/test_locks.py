"""What is installed is what was locked, and the locks say nothing of the machine they were made on."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.project import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.txt", "requirements-dev.txt")
_PINNED = re.compile(
    r"""^([\w.-]+)==(\S+)\ (?:;\ [^\\]+)?\\\n   # name, version, marker
        (?:\ {4}--hash=sha256:[0-9a-f]{64}(?:\ \\)?\n)+""",
    re.MULTILINE | re.VERBOSE,
)


def _text(lock: str) -> str:
    return (ROOT / lock).read_text()


def _pins(lock: str) -> dict[str, set[str]]:
    pins: dict[str, set[str]] = {}
    for name, version in _PINNED.findall(_text(lock)):
        pins.setdefault(canonicalize_name(name), set()).add(version)
    return pins


def _wanted(lock: str) -> list[Requirement]:
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["proxy"], *groups["build"]]
    return [Requirement(text) for text in (*wanted, *(groups["dev"] if "dev" in lock else ()))]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_nothing_but_pins_hashes_and_reasons(lock: str) -> None:
    """No index, no folder of wheels, no address: those belong to a machine, not to the project."""
    rest = [line for line in _PINNED.sub("", _text(lock)).splitlines() if not re.match(r"^ *#", line)]
    assert rest == []
    assert not re.search(r"https?:|file:|find-links|index-url|@ ", _text(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_answers_every_direct_dependency(lock: str) -> None:
    pins = _pins(lock)
    wanted = _wanted(lock)
    assert len(wanted) >= 12
    unanswered = [
        str(requirement)
        for requirement in wanted
        if not any(requirement.specifier.contains(v) for v in pins.get(canonicalize_name(requirement.name), ()))
    ]
    assert unanswered == [], "run `make lock`"


def test_tests_run_with_the_versions_that_are_deployed() -> None:
    run, dev = map(_pins, LOCKS)
    assert len(run) > 40
    assert {name: versions for name, versions in run.items() if dev.get(name) != versions} == {}
