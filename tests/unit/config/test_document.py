"""YAML to plain data with lines: the core schema, duplicates and bounds."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config.document import read_document, spelled
from sumun.config.fault import ConfigError


def data(text: str) -> Any:
    return read_document(text, file="f.yaml").data


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_document(text, file="f.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("NO", "NO", id="Norway is a country"),
        pytest.param("on", "on", id="on is a word"),
        pytest.param("22:00", "22:00", id="a time is no sexagesimal number"),
        pytest.param("2025-03-01", "2025-03-01", id="a date stays as written"),
        pytest.param("010", "010", id="no octal number"),
        pytest.param("1.50", "1.50", id="no float"),
        pytest.param("9" * 5000, "9" * 5000, id="a number too long to convert"),
        pytest.param("-3", -3, id="number"),
        pytest.param("'3'", "3", id="quoted number"),
        pytest.param("True", True, id="true"),
        pytest.param("~", None, id="null"),
        pytest.param("'null'", "null", id="quoted null"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert data(f"a: {text}\n") == {"a": value}


def test_every_key_and_item_has_its_line() -> None:
    document = read_document("a:\n  - x\n  - b: 1\n    c:\n      - y\n", file="f.yaml")
    assert document.lines == {
        (): 1, ("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, "b"): 3, ("a", 1, "c"): 4, ("a", 1, "c", 0): 5,
    }  # fmt: skip


def test_a_fault_takes_the_line_of_the_nearest_place_above() -> None:
    document = read_document("a:\n  b: 1\n", file="f.yaml")
    assert str(document.fault(("a", "missing", 3), "m")) == "f.yaml:1: /a/missing/3: m"


def test_all_duplicate_keys_are_reported_and_the_first_value_stands() -> None:
    document = read_document("a: 1\na: 2\nb: {c: 1, c: {d: 2}}\n", file="f.yaml")
    assert document.data == {"a": 1, "b": {"c": 1}}
    assert [str(fault) for fault in document.faults] == [
        "f.yaml:2: /a: key stands twice: the first is in line 1",
        "f.yaml:3: /b/c: key stands twice: the first is in line 3",
    ]


def test_anchors_are_expanded_into_copies() -> None:
    value = data("a: &x [1, {b: 2}]\nc: *x\n")
    assert value == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}
    value["a"][1]["b"] = 3
    assert value["c"][1]["b"] == 2


def test_a_billion_laughs_end_at_the_bound() -> None:
    laughs = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    laughs += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert refusal("\n".join(laughs)) == "f.yaml:6: more than 200,000 values, aliases expanded"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 100_000, "f.yaml:1: nested deeper than 24 levels"),
        ("a: &a [*a]", 'f.yaml:1: text that begins with `*` must be in quotes: `"*a"`'),
        (
            "a: !!python/object:os.system x",
            "f.yaml:1: tag `tag:yaml.org,2002:python/object:os.system` has no meaning here: "
            "remove it",
        ),
        ("b: {}\na:\n  <<: *b", "f.yaml:3: merge keys (`<<`) are not supported: write the keys out"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document begins here: keep one, without `---` between"),
        ("? [a]\n: 1", "f.yaml:1: a key must be a plain word: put `*`, `[` and `{` in quotes"),
        ("a: 1\nb: \x07", "f.yaml:2: character U+0007 may not stand in YAML: is the file text in UTF-8?"),
        ("a: \ud800", "f.yaml:1: character U+D800 may not stand in YAML: is the file text in UTF-8?"),
        ("a" * 4_000_001, "f.yaml: file has more than 4,000,000 characters"),
    ],
)  # fmt: skip
def test_what_is_refused(text: str, message: str) -> None:
    assert refusal(text) == message


def test_a_path_is_spelled_as_in_the_file() -> None:
    assert spelled(("segments", "hq-network", "networks", 0)) == "/segments/hq-network/networks/0"


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%@`#,?\\ \t\n0~<é\ufeff\u2028"), max_size=60))
def test_any_text_gives_data_or_one_kind_of_refusal(text: str) -> None:
    with suppress(ConfigError):
        assert read_document(text, file="f.yaml").file == "f.yaml"
