"""Faults of form: all at once, at the right place, and without hiding what comes after."""

from __future__ import annotations

import pytest

from sumun.config.document import read_document
from sumun.config.shape import Shaped, shape


def shaped(text: str) -> Shaped:
    return shape(read_document(text, file="c"))


def messages(text: str) -> list[str]:
    return [str(fault) for fault in sorted(shaped(text).faults)]


RULE = "version: 1\nsegments:\n  a:\n    rules:\n      - id: r\n        action: block\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "c: file is empty: a configuration begins with `version: 1` and `segments:`"),
        (
            "- a\n",
            "c:1: a list stands where a mapping (`key: value`) is expected: "
            "a configuration begins with `version: 1` and `segments:`",
        ),
        ("segments: {a: {}}\n", "c:1: key `version` is missing"),
        ("version: 2\nsegments: {a: {}}\n", "c:1: /version: `2` stands where `1` is expected"),
        ("version: 1\nsegments: {}\n", "c:2: /segments: `{}` is empty: name one at least"),
        ("version: 1\nsegmnts: {a: {}}\n", "c:2: /segmnts: unknown key `segmnts`; did you mean `segments`?"),
        (
            f"{RULE}        servces: [x]\n",
            "c:7: /segments/a/rules/0/servces: unknown key `servces`; did you mean "
            "`services`?",
        ),
        (
            f"{RULE}        services: x\n",
            "c:7: /segments/a/rules/0/services: `x` stands where a list is expected: "
            "write `[x]`",
        ),
        (f"{RULE}        services: []\n", "c:7: /segments/a/rules/0/services: `[]` is empty, so it could never hold"),
        (
            f"{RULE}        uploads: yes\n",
            "c:7: /segments/a/rules/0/uploads: `yes` stands where `true` or `false` "
            "is expected",
        ),
        (f"{RULE}        users: [true]\n", "c:7: /segments/a/rules/0/users/0: `true` stands where text is expected"),
        (
            f"{RULE}        hours: 9-18\n",
            "c:7: /segments/a/rules/0/hours: `9-18` stands where a mapping (`key: value`) "
            "is expected",
        ),
        (f"{RULE}        hours: {{zone: Mars}}\n", "c:7: /segments/a/rules/0/hours/zone: `Mars` is not a time zone"),
        (f"{RULE}        reason: {{english!: x}}\n", "c:7: /segments/a/rules/0/reason: `english!` is not a language"),
        (
            f"{RULE}        tenant: {{Host: x}}\n",
            "c:7: /segments/a/rules/0/tenant/Host: `Host` cannot be set "
            "by a rule",
        ),
        (
            f"{RULE}        domains: [{{name: a.example, mach: exact}}]\n",
            "c:7: /segments/a/rules/0/domains/0/mach: unknown key `mach`; did you mean `match`?",
        ),
        (
            f"{RULE}        mode: shaddow\n",
            "c:7: /segments/a/rules/0/mode: `shaddow` stands where `enforce` or `shadow` is expected; "
            "did you mean `shadow`?",
        ),
        (f"{RULE}      - action: block\n", "c:7: /segments/a/rules/1: key `id` is missing"),
        ("version: 1\nsegments:\n  HQ: {}\n", "c:3: /segments/HQ: `HQ` is not an id"),
        ("version: 1\nsegments: {a: {dns: {ttl: -1}}}\n", "c:2: /segments/a/dns/ttl: `-1` is too small: 0 at least"),
        (
            "version: 1\nsegments: {a: {}}\nlisten: {dns: {port: 70000}}\n",
            "c:3: /listen/dns/port: `70000` is too large: "
            "65535 at most",
        ),
        (
            "version: 1\nsegments: {a: {}}\nlisten: {dns: {port: '53'}}\n",
            "c:3: /listen/dns/port: `53` stands where a number "
            "is expected",
        ),
        ("version: 1\nsegments: {a: {}}\na: 1\n", "c:3: /a: unknown key `a`: known here are destinations, "),
    ],
)  # fmt: skip
def test_one_fault_is_named_with_its_place(text: str, message: str) -> None:
    found = messages(text)
    assert len(found) == 1
    assert found[0].startswith(message)


def test_a_faulty_item_does_not_move_its_neighbours() -> None:
    found = shaped("version: 1\nsegments:\n  a:\n    networks:\n      - 10.0.0.0/33\n      - 10.0.0.0/8\n      - x\n")
    found.fault(("segments", "a", "networks", 0), "here")
    assert str(sorted(found.faults)[1]) == "c:6: /segments/a/networks/1: here"


def test_what_is_beside_a_fault_is_kept() -> None:
    raw = shaped(f"{RULE.replace('block', 'blok')}        services: [deepsek]\n").raw
    assert raw is not None
    assert raw.segments["a"].rules[0].services == ["deepsek"]


def test_an_empty_key_is_a_key_left_out() -> None:
    raw = shaped("version: 1\nrules:\nlists:\nsegments:\n  a:\n    networks:\n    dns:\n").raw
    assert raw is not None
    assert (raw.rules, raw.lists, raw.segments["a"].networks) == ([], [], [])


def test_numbers_are_text_where_text_is_expected() -> None:
    raw = shaped(f"{RULE}        reference: 2025\n").raw
    assert raw is not None
    assert raw.segments["a"].rules[0].reference == "2025"


def test_several_things_missing_from_one_item_cost_that_item_alone() -> None:
    entry = "{id: e, user: kim, service: x, until: 2025-01-01}"
    found = shaped(f"version: 1\nsegments: {{a: {{}}}}\nexemptions:\n  - {{user: kim}}\n  - {entry}\n")
    assert [str(fault) for fault in sorted(found.faults)] == [
        "c:4: /exemptions/0: key `id` is missing",
        "c:4: /exemptions/0: key `service` is missing",
        "c:4: /exemptions/0: key `until` is missing",
    ]
    assert found.raw is not None
    assert [exemption.id for exemption in found.raw.exemptions] == ["e"]


def test_a_segment_may_be_called_segments() -> None:
    raw = shaped("version: 1\nsegments: {segments: 3, a: {}}\n").raw
    assert raw is not None
    assert list(raw.segments) == ["a"]


def test_the_document_is_left_as_it_was() -> None:
    document = read_document("version: 1\nsegments: {a: {x: 1}}\n", file="c")
    shape(document)
    assert document.data == {"version": 1, "segments": {"a": {"x": 1}}}
