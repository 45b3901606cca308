"""The JSON Schema (draft 2020-12) that editors check a configuration against, out of the raw models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from sumun.config.document import Path
from sumun.config.raw import RawConfig

_SPAN = re.compile(r"PT?(\d+)([DHMS])")
"""A duration as pydantic writes it (ISO 8601)."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """The contents of ``config/schema.json``."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


@cache
def json_schema() -> dict[str, Any]:
    """Build the schema; it accepts every form that the parser accepts."""
    return {"$schema": DIALECT, **_tidied(RawConfig.model_json_schema()), "title": "Sumun"}


def keys_at(path: Path) -> frozenset[str]:
    """The keys known in the mapping at this path of a configuration."""
    nodes = [json_schema()]
    for step in path:
        nodes = [inner for node in nodes for form in _forms(node) for inner in _entered(form, step)]
    return frozenset(key for node in nodes for form in _forms(node) for key in form.get("properties", ()))


def _tidied(node: Any) -> Any:
    """Drop titles that repeat the key; a bare number is text too, and a list may be left empty."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidied(value) for key, value in node.items() if key != "title" or isinstance(value, dict)}
    if tidy.get("type") == "string" and "enum" not in tidy:
        tidy["type"] = ["string", "number"]
    if tidy.get("type") == "array":
        tidy["type"] = ["array", "null"]
    if span := _SPAN.fullmatch(str(tidy.get("default"))):
        tidy["default"] = f"{span[1]}{span[2].lower()}"
    return tidy


def _forms(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The alternatives of a schema, references followed."""
    if reference := node.get("$ref"):
        yield from _forms(json_schema()["$defs"][reference.rpartition("/")[2]])
        return
    yield node
    for keyword in ("anyOf", "oneOf", "allOf"):
        for alternative in node.get(keyword, ()):
            yield from _forms(alternative)


def _entered(form: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
    """The schemas of what stands one step further."""
    if isinstance(step, int):
        inner = form.get("items")
    else:
        inner = form.get("properties", {}).get(step, form.get("additionalProperties"))
    if isinstance(inner, dict):
        yield inner
