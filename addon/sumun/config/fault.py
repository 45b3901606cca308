"""What is wrong with a file, in words for the person who wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from sumun.model.fault import OperatorFault

_SHOWN = 200
"""Characters of somebody's input that a message repeats."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong, or in a warning doubtful, and where."""

    file: str
    line: int
    """Counted from 1; 0: the file as a whole."""
    path: str
    """In the spelling of the file: ``/segments/hq-network/networks/0``; empty: no one place."""
    message: str

    def __str__(self) -> str:
        line = f"{self.line}:" if self.line else ""
        path = f"{self.path}: " if self.path else ""
        return f"{self.file}:{line} {path}{self.message}"


class ConfigError(OperatorFault):
    """All faults at once, in the order of the file; the operator must act."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(sorted(set(faults)))
        super().__init__("\n".join(map(str, self.faults)))


class Unreadable(ValueError):
    """A single value that cannot be read; its message says why and what to write instead."""


def quoted(value: object) -> str:
    """Repeat what somebody wrote, on one line, bounded, between backticks."""
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[: _SHOWN + 1])
    return f"`{text[:_SHOWN]}…`" if len(text) > _SHOWN else f"`{text}`"


def not_a(kind: str, value: object) -> str:
    """Say that a value has the wrong form, showing its own."""
    kind = "a mapping (`key: value`)" if kind == "a mapping" else kind
    if isinstance(value, dict):
        return f"a mapping stands where {kind} is expected"
    if isinstance(value, list):
        return f"a list stands where {kind} is expected"
    if value is None:
        return f"nothing stands where {kind} is expected"
    hint = f": write `[{value}]`" if kind == "a list" else ""
    return f"{quoted(value)} stands where {kind} is expected{hint}"


def one_of(words: Sequence[str]) -> str:
    """Name the choices: ``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give the end of a message that offers the nearest known word; empty where none is near."""
    spellings = {spelling.lower(): spelling for spelling in sorted(known)}
    near = get_close_matches(word[:_SHOWN].lower(), spellings, n=1)
    return f"; did you mean `{spellings[near[0]]}`?" if near else ""
