"""The JSON Schema for editors is current, and accepts what the parser accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sumun.config.document import read_document
from sumun.config.schema import json_schema, keys_at, schema_text
from tests.unit.config.test_parse import EVERYTHING, parse

CONFIG = Path(__file__).parents[3] / "config"
FILES = [CONFIG / "sumun.yaml", *sorted((CONFIG / "templates").glob("*.yaml"))]


def validate(data: Any) -> None:
    jsonschema.validate(data, json_schema(), cls=jsonschema.Draft202012Validator)


def test_the_file_is_current() -> None:
    """Renew it with ``python -c 'from sumun.config.schema import *; print(schema_text(), end="")'``."""
    assert (CONFIG / "schema.json").read_text("utf-8") == schema_text()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_of_ours_validates_and_names_the_schema(path: Path) -> None:
    text = path.read_text("utf-8")
    validate(read_document(text, file=path.name).data)
    schema = path.parent / text.split("\n", 1)[0].partition("$schema=")[2]
    assert schema.resolve() == (CONFIG / "schema.json").resolve()


@pytest.mark.parametrize(
    "text",
    [
        EVERYTHING,
        "version: 1\nrules:\nlists:\nsegments: {a: {networks: }}\n",
        "version: 1\nsegments: {a: {}}\nrules: [{id: r, action: warn, hours: {days: [mon, tue], times: 9:00-18:00}}]\n",
    ],
)
def test_what_the_parser_accepts_the_schema_accepts(text: str) -> None:
    assert parse(text).segments
    validate(read_document(text, file="c").data)


@pytest.mark.parametrize(
    "text",
    [
        "version: 2\nsegments: {a: {}}",
        "version: 1\nsegments: {}",
        "version: 1\nsegments: {a: {}}\nx: 1",
        "version: 1\nsegments: {a: {rules: [{id: r, action: blok}]}}",
        "version: 1\nsegments: {a: {rules: [{id: r, action: block, services: []}]}}",
        "version: 1\nsegments: {a: {}}\nlisten: {dns: {port: 0}}",
    ],
)
def test_what_an_editor_should_underline_is_refused(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(read_document(text, file="c").data)


def test_every_key_has_a_description_or_speaks_for_itself() -> None:
    rule = json_schema()["$defs"]["RawRule"]["properties"]
    undescribed = {key for key, value in rule.items() if "description" not in value}
    assert undescribed == {"action", "hours"}


def test_the_keys_at_a_path_are_those_of_its_model() -> None:
    assert keys_at(("segments", "any", "dns")) >= {"answer", "ttl", "steer", "ede"}
    assert keys_at(("segments", "any", "rules", 0, "domains", 1)) == {"name", "match"}
    assert keys_at(("segments",)) == frozenset()
