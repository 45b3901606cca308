"""The project's own files, for tests that read them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_COMMAND = re.compile(r"(?:^|[`\s/])sumun ((?:[a-z]+\|)*[a-z]+)\b", re.MULTILINE)
_FENCE = re.compile(r"^ *```\w*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_INDENTED = re.compile(r"^ {4,}(\S.*)$", re.MULTILINE)


def own_files() -> list[Path]:
    """Every file that belongs to the project: what git knows, or would take."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in paths if path.is_file()]


def documents() -> list[Path]:
    """All Markdown files."""
    return [path for path in own_files() if path.suffix == ".md"]


def code_in(document: str) -> str:
    """What a document shows as code, in blocks and in spans."""
    prose = _FENCE.sub("", document)
    return "\n".join([*_FENCE.findall(document), *_INDENTED.findall(prose), *_SPAN.findall(prose)])


def commands_in(code: str) -> set[str]:
    """Words that follow ``sumun``: its commands."""
    return {word for match in _COMMAND.findall(code) for word in match.split("|")}
