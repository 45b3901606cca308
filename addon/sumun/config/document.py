"""YAML text to plain data, with the line of every key and value.

Scalars follow the core schema of YAML 1.2, which editors use too, and not the older rules: ``22:00`` is a text and no
sexagesimal number, ``NO`` is a country and not false, ``on`` is a word, and dates stay as written until somebody who
knows the zone reads them. Anchors may be used; tags and merge keys may not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from sumun.config.fault import ConfigError, Fault, quoted
from sumun.config.yaml_trouble import explain

type Step = str | int
type Path = tuple[Step, ...]

MAX_CHARACTERS = 4_000_000
_MAX_DEPTH = 24
_MAX_NODES = 200_000
"""Values after aliases are expanded, so that a few lines cannot stand for gigabytes."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: ten times as fast, the same events."""
_NOT_YAML = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""YAML 1.2, 5.1: characters that may not stand in a stream."""
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})", re.ASCII)
_CONSTANTS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    spelling: word == "true" for word in ("true", "false") for spelling in (word, word.title(), word.upper())
}


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, before anybody asks whether it makes sense."""

    file: str
    data: Any
    """None, bool, int, str, and lists and dicts of these."""
    lines: dict[Path, int]
    """Line of each key and list item, counted from 1."""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the notation but leaves the rest readable."""

    def fault(self, path: Path, message: str) -> Fault:
        """Say what is wrong at a place; the nearest place above gives the line where this one has none."""
        line = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), 0)
        return Fault(self.file, line, spelled(path), message)


def spelled(path: Path) -> str:
    """Write a path as messages show it."""
    return "".join(f"/{str(step)[:80]}" for step in path)


def read_document(text: str, *, file: str) -> Document:
    """Read one YAML document; raises ConfigError where nothing sensible can be read."""
    text = text.removeprefix("\ufeff")
    _check_characters(text, file)
    reader = _Reader(file, yaml.parse(text, Loader=_Loader))
    try:
        data = reader.document()
    except yaml.MarkedYAMLError as trouble:
        line, message = explain(trouble, text)
        raise ConfigError([Fault(file, line, "", message)]) from None
    return Document(file, data, reader.lines, tuple(reader.faults))


def _check_characters(text: str, file: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise ConfigError([Fault(file, 0, "", f"file has more than {MAX_CHARACTERS:,} characters")])
    if found := _NOT_YAML.search(text):
        line = text.count("\n", 0, found.start()) + 1
        message = f"character U+{ord(found[0]):04X} may not stand in YAML: is the file text in UTF-8?"
        raise ConfigError([Fault(file, line, "", message)])


@dataclass(slots=True)
class _Reader:
    """Builds data out of parser events, and stops at the bounds."""

    file: str
    events: Iterator[Event]
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """Value of each anchor, and how many nodes it stands for."""
    nodes: int = 0

    def document(self) -> Any:
        next(self.events)  # the start of the stream
        if isinstance(next(self.events), StreamEndEvent):
            return None
        data = self._value(next(self.events), ())
        for event in islice(self.events, 1, None):
            if isinstance(event, DocumentStartEvent):
                raise self._fatal(event, "a second document begins here: keep one, without `---` between")
        return data

    def _value(self, event: Event, path: Path) -> Any:
        self.lines.setdefault(path, _line(event))
        if isinstance(event, AliasEvent):
            return self._alias(event)
        before = self.nodes
        self._count(event, 1)
        if len(path) > _MAX_DEPTH:
            raise self._fatal(event, f"nested deeper than {_MAX_DEPTH} levels")
        value = self._built(event, path)
        if isinstance(event, NodeEvent) and event.anchor:
            self.anchors[event.anchor] = value, self.nodes - before
        return value

    def _built(self, event: Event, path: Path) -> Any:
        tag = getattr(event, "tag", None)
        if tag and tag != "!":
            raise self._fatal(event, f"tag {quoted(tag)} has no meaning here: remove it")
        if isinstance(event, ScalarEvent):
            return _resolved(event)
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        return self._sequence(path)

    def _sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while not isinstance(event := next(self.events), MappingEndEvent):
            key, line = self._key(event), _line(event)
            if key in entries:
                first = self.lines[(*path, key)]
                message = f"key stands twice: the first is in line {first}"
                self.faults.append(Fault(self.file, line, spelled((*path, key)), message))
                self._value(next(self.events), (*path, f"{key} (again)"))
                continue
            self.lines[(*path, key)] = line
            entries[key] = self._value(next(self.events), (*path, key))
        return entries

    def _key(self, event: Event) -> str:
        if not isinstance(event, ScalarEvent):
            raise self._fatal(event, "a key must be a plain word: put `*`, `[` and `{` in quotes")
        if event.value == "<<" and event.implicit[0]:
            raise self._fatal(event, "merge keys (`<<`) are not supported: write the keys out")
        return str(event.value)

    def _alias(self, event: AliasEvent) -> Any:
        if event.anchor not in self.anchors:
            raise self._fatal(event, f'text that begins with `*` must be in quotes: `"*{event.anchor}"`')
        value, nodes = self.anchors[event.anchor]
        self._count(event, nodes)
        return _copied(value)

    def _count(self, event: Event, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > _MAX_NODES:
            raise self._fatal(event, f"more than {_MAX_NODES:,} values, aliases expanded")

    def _fatal(self, event: Event, message: str) -> ConfigError:
        return ConfigError([*self.faults, Fault(self.file, _line(event), "", message)])


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _resolved(event: ScalarEvent) -> str | int | bool | None:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    return int(text) if _INTEGER.fullmatch(text) else text


def _copied(value: Any) -> Any:
    """Copy lists and dicts, so that pruning one place leaves the others."""
    if isinstance(value, dict):
        return {key: _copied(entry) for key, entry in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
