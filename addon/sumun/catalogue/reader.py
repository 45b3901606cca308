"""YAML nodes to plain values, each with its line.

Nodes are composed and never constructed: no tag can make an object, and a scalar is the text that stands in the
file (Norway stays ``NO``, YAML 1.1 would make it false).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sumun.catalogue.faults import ServiceFault
from sumun.model.text import Text

_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_IDENTIFIER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)
_FLAGS = {"true": True, "false": False}

MAX_CHARACTERS: Final = 64 * 1024
"""Several times the longest file there is; a longer one is no service."""
_MAX_LINE: Final = 1000
_MAX_BRACKETS: Final = 1000
"""Together these bound how deep a text can nest: the C parser composes by recursion, and some ten thousand levels
overflow the stack and end the process."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """A mapping whose keys are known ones, each given once."""

    nodes: dict[str, Node]
    start: int

    def get(self, key: str) -> Node | None:
        """The value's node; None where the key is not given."""
        return self.nodes.get(key)

    def line(self, key: str) -> int:
        """Line of a value, or of the whole mapping where the key is not given."""
        node = self.nodes.get(key)
        return node.start_mark.line + 1 if node else self.start


@dataclass(frozen=True, slots=True)
class Reader:
    """Takes values out of the nodes of one file; every method raises ServiceFault."""

    file: str

    def fault(self, line: int, message: str) -> ServiceFault:
        """Say what is wrong in a line of this file."""
        return ServiceFault(self.file, line, message)

    def document(self, text: str) -> Node | None:
        """Compose the one document of a text."""
        self._bound(text)
        try:
            return yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            raise self.fault(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}") from None
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            raise self.fault(1, f"not YAML: {getattr(error, 'reason', 'not readable')}") from None
        except RecursionError:  # the loader in Python, where PyYAML was built without libyaml
            raise self.fault(1, "nested too deep") from None

    def _bound(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise self.fault(1, f"file is longer than {MAX_CHARACTERS} characters")
        if text.count("[") + text.count("{") > _MAX_BRACKETS:
            raise self.fault(1, f"file has more than {_MAX_BRACKETS} brackets")
        for number, line in enumerate(text.splitlines(), start=1):
            if len(line) > _MAX_LINE:
                raise self.fault(number, f"line is longer than {_MAX_LINE} characters")

    def mapping(self, node: Node | None, keys: Collection[str]) -> Mapped:
        """A mapping with no other keys than these."""
        if not isinstance(node, MappingNode):
            raise self.fault(_line(node), "expected a mapping of keys to values")
        found: dict[str, Node] = {}
        for key_node, value in node.value:
            key = self._scalar(key_node)
            self.one_of(_line(key_node), key, keys, "key")
            if key in found:
                raise self.fault(_line(key_node), f"key `{key}` is given twice")
            found[key] = value
        return Mapped(found, _line(node))

    def needed(self, given: Mapped, key: str) -> Node:
        """The node of a key that must be there."""
        node = given.get(key)
        if node is None:
            raise self.fault(given.start, f"`{key}` is missing")
        return node

    def sequence(self, node: Node) -> list[Node]:
        """The items of a list."""
        if not isinstance(node, SequenceNode):
            raise self.fault(_line(node), "expected a list")
        return list(node.value)

    def text(self, given: Mapped, key: str, default: str | None = None) -> str:
        """A text that is not empty; ``default`` where the key may be left out."""
        if default is not None and given.get(key) is None:
            return default
        return self._scalar(self.needed(given, key))

    def texts(self, given: Mapped, key: str) -> tuple[str, ...]:
        """A list of texts; empty where the key is not given."""
        node = given.get(key)
        return () if node is None else tuple(map(self._scalar, self.sequence(node)))

    def words(self, given: Mapped, key: str) -> Text:
        """A text in English, or a mapping of language tags to texts."""
        node = self.needed(given, key)
        if not isinstance(node, MappingNode):
            return Text.of(self._scalar(node))
        if not node.value:
            raise self.fault(_line(node), f"`{key}` is given in no language")
        return Text.of({self._language(tag): self._scalar(message) for tag, message in node.value})

    def flag(self, given: Mapped, key: str) -> bool:
        """``true`` or ``false``; false where the key is not given."""
        text = self.text(given, key, "false")
        self.one_of(given.line(key), text, _FLAGS, "answer")
        return _FLAGS[text]

    def day(self, given: Mapped, key: str) -> date | None:
        """A date as ISO 8601 writes it; None where the key is not given."""
        text = self.text(given, key, "")
        try:
            return date.fromisoformat(text) if text else None
        except ValueError:
            raise self.fault(given.line(key), f"`{text}` is no date: write year-month-day") from None

    def identifier(self, given: Mapped, key: str) -> str:
        """Lower-case letters, digits and single hyphens: fit for a file name and a metric label."""
        text = self.text(given, key)
        if not _IDENTIFIER.fullmatch(text):
            raise self.fault(given.line(key), f"`{text}` is no id: use lower-case letters, digits and single hyphens")
        return text

    def choice(self, given: Mapped, key: str, known: Collection[str]) -> str:
        """A text out of a closed set."""
        text = self.text(given, key)
        self.one_of(given.line(key), text, known, key)
        return text

    def one_of(self, line: int, text: str, known: Collection[str], what: str) -> None:
        """Refuse what is not in the set, with the nearest thing that is."""
        if text not in known:
            raise self.fault(line, f"unknown {what} `{text}`{_hint(text, known)}")

    def _scalar(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise self.fault(_line(node), "expected a text")
        value: str = node.value
        if not value.strip() or not value.isprintable():
            raise self.fault(_line(node), "text is empty or has a control character")
        return value

    def _language(self, node: Node) -> str:
        tag = self._scalar(node)
        if not _LANGUAGE.fullmatch(tag):
            raise self.fault(_line(node), f"`{tag}` is no language tag: write `en` or `ko`")
        return tag


def _line(node: Node | None) -> int:
    return node.start_mark.line + 1 if node else 1


def _hint(text: str, known: Iterable[str]) -> str:
    spelt = {key.lower(): key for key in known}
    near = get_close_matches(text.lower(), spelt, n=1)
    return f"; did you mean `{spelt[near[0]]}`?" if near else ""
