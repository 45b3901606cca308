"""Plain data to raw configuration: every fault of form at once, and whatever is sound kept for further checks.

What is faulty is cut out and the rest read again, so that a misspelt key in one rule does not hide an unknown
service in another.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sumun.config.document import Document, Path
from sumun.config.fault import Fault, did_you_mean, not_a, one_of, quoted
from sumun.config.raw import RawConfig
from sumun.config.schema import keys_at

NO_ID = "no-id"
"""Stands for an id that cannot be read; never compared with others."""
_KINDS = {
    "int_type": "a number",
    "bool_type": "`true` or `false`",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_OUT_OF_BOUNDS = {
    "greater_than_equal": "is too small: {ge} at least",
    "less_than_equal": "is too large: {le} at most",
}
_EMPTY = {
    "mapping": "`{}` is empty: name one at least",
    "list": "`[]` is empty, so it could never hold: leave the key out where everything is meant",
}
_ATTEMPTS = 16
"""Each removes all that the one before found; a few suffice, since what is missing shows only in what holds it."""
_STAND_INS = {"version": 1, "id": NO_ID, "action": "allow"}


@dataclass(slots=True)
class Shaped:
    """The sound part of a file, and the faults of form in the rest."""

    document: Document
    raw: RawConfig | None
    faults: list[Fault] = field(default_factory=list)
    moved: dict[Path, list[int]] = field(default_factory=dict)
    """For each list that lost items: the place in the file of each that is left."""

    def fault(self, path: Path, message: str) -> None:
        """Add a fault at a path in the sound part; the file is told in its own terms."""
        self.faults.append(self.document.fault(self.original(path), message))

    def original(self, path: Path) -> Path:
        """Where something of the sound part stands in the file."""
        found: Path = ()
        for step in path:
            places = self.moved.get(found)
            found = (*found, places[step] if places and isinstance(step, int) else step)
        return found


def shape(document: Document) -> Shaped:
    """Read the data as a configuration; never raises."""
    shaped = Shaped(document, None, list(document.faults))
    data = document.data
    if not isinstance(data, dict):
        what = "file is empty" if data is None else not_a("a mapping", data)
        shaped.faults.append(document.fault((), f"{what}: a configuration begins with `version: 1` and `segments:`"))
        return shaped
    data = deepcopy(data)
    for attempt in range(_ATTEMPTS):
        try:
            shaped.raw = RawConfig.model_validate(data)
        except ValidationError as trouble:
            errors = trouble.errors(include_url=False)
        else:
            break
        if attempt == 0:
            shaped.faults += [_fault(document, error) for error in errors if not _misspelt(error, errors)]
        if not _cut(shaped, data, errors):
            break
    return shaped


def _cut(shaped: Shaped, data: Any, errors: list[ErrorDetails]) -> bool:
    """Remove what is faulty, later items first; False where the file as a whole is at fault."""
    places = {_place(data, error) for error in errors}
    if places & {(), ("segments",)}:
        return False
    for path in sorted(places, key=lambda path: [(isinstance(s, str), s) for s in path], reverse=True):
        _remove(shaped, data, path)
    return True


def _place(data: Any, error: ErrorDetails) -> Path:
    """What is to be cut out: the faulty value, or where a key is missing that has no stand-in, what holds it."""
    if error["type"] != "missing":
        return _path(data, error["loc"])
    above, key = _path(data, error["loc"][:-1]), error["loc"][-1]
    return (*above, key) if key in _STAND_INS else above


def _remove(shaped: Shaped, data: Any, path: Path) -> None:
    """Cut one value out; a key that must be there gets a stand-in, so that what is beside it is checked too."""
    *above, last = path
    holder = data
    for step in above:
        holder = holder[step]
    if isinstance(last, int):
        places = shaped.moved.setdefault(shaped.original(tuple(above)), list(range(len(holder))))
        del holder[last], places[last]
    elif last in _STAND_INS and holder.get(last) != _STAND_INS[last]:
        holder[last] = _STAND_INS[last]
    else:
        del holder[last]


def _path(data: Any, loc: tuple[str | int, ...]) -> Path:
    """The part of an error's location that is in the data; the rest names alternatives of the reader."""
    path: Path = ()
    for step in loc:
        if _holds(data, step):
            data, path = data[step], (*path, step)
    return path


def _holds(data: Any, step: str | int) -> bool:
    if isinstance(data, list):
        return isinstance(step, int) and step < len(data)
    return isinstance(data, dict) and step in data


def _misspelt(error: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Whether a missing key stands there after all, misspelt, which is a fault of its own."""
    if error["type"] != "missing":
        return False
    *above, key = error["loc"]
    others = [str(e["loc"][-1]) for e in errors if e["type"] == "extra_forbidden" and [*e["loc"][:-1]] == above]
    return bool(did_you_mean(str(key), others))


def _fault(document: Document, error: ErrorDetails) -> Fault:
    path = _path(document.data, error["loc"][:-1] if error["type"] == "missing" else error["loc"])
    return document.fault(path, _sentence(error, path))


def _sentence(error: ErrorDetails, path: Path) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    match kind:
        case "value_error":
            return str(context["error"])
        case "missing":
            return f"key `{error['loc'][-1]}` is missing"
        case "extra_forbidden":
            return _unknown_key(path)
        case "enum" | "literal_error":
            return _not_a_choice(given, str(context["expected"]))
        case _ if kind in _KINDS:
            return not_a(_KINDS[kind], given)
        case "too_short":
            return _EMPTY["mapping" if isinstance(given, dict) else "list"]
    return f"{quoted(given)} {_OUT_OF_BOUNDS[kind].format(**context) if kind in _OUT_OF_BOUNDS else error['msg']}"


def _unknown_key(path: Path) -> str:
    key, known = str(path[-1]), sorted(keys_at(path[:-1]))
    return f"unknown key {quoted(key)}{did_you_mean(key, known) or f': known here are {one_of(known)}'}"


def _not_a_choice(given: object, expected: str) -> str:
    choices = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    hint = did_you_mean(given, choices) if isinstance(given, str) else ""
    return f"{quoted(given)} stands where {one_of([f'`{choice}`' for choice in choices])} is expected{hint}"
