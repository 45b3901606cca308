"""One file: what is taken, and in which words the rest is refused."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.catalogue.service_file import ServiceFault, parse_service
from sumun.model.service import App, Match, Pattern, Service
from tests.unit.catalogue.corpus import files

FULL = """\
id: sample
title: {en: Sample, ko: 표본}
aliases: [Specimen]
vendor: {name: Sample AS, country: NO, source: inferred, parent: {name: Group, country: SG}}
category: chat-assistant
data: {countries: [NO, SE], basis: privacy policy, source: "page:sample.example"}
serves_models: [deepseek]
models_evidence: seen
ended: 2026-04-09
reviewed: 2026-11-22
note: read twice
domains:
  - {name: Sample.EXAMPLE., role: web, sources: [v2fly]}
  - {name: sample.cloud.example, match: exact, role: cdn, sources: [inferred]}
  - {name: "*-api.cloud.example", role: api, matches: [eu-api.cloud.example], spares: [api.cloud.example], sources: [a]}
  - {name: search.example, role: web, shared: true, paths: [/ai], sources: [a], note: inside the search}
  - {name: carved.other.example, role: web, within: other, sources: [a]}
on_premises: {offered: false, source: inferred}
apps: [{platform: android, id: example.sample, source: inferred}]
"""


def read(text: str, file: str = "blocklists/services/sample.yaml") -> Service:
    return parse_service(text, file=file)


def test_reads_every_key() -> None:
    service = read(FULL)
    assert (service.id, service.title.within("ko"), service.aliases) == ("sample", "표본", ("Specimen",))
    assert (service.vendor, service.vendor_country, service.vendor_source) == ("Sample AS", "NO", "inferred")
    assert (service.parent, service.parent_country, service.vendor_countries) == (
        "Group",
        "SG",
        frozenset({"NO", "SG"}),
    )
    assert (service.data_countries, service.data_basis) == (frozenset({"NO", "SE"}), "privacy policy")
    assert (service.serves_models, service.models_evidence) == (("deepseek",), "seen")
    assert (service.ended, service.reviewed, service.note) == (date(2026, 4, 9), date(2026, 11, 22), "read twice")
    assert (service.on_premises, service.on_premises_source, service.status) == (False, "inferred", "ended")
    assert service.apps == (App("android", "example.sample", "inferred"),)
    assert [d.pattern for d in service.domains] == [
        Pattern("sample.example"),
        Pattern("sample.cloud.example", Match.EXACT),
        Pattern("*-api.cloud.example", Match.GLOB),
        Pattern("search.example"),
        Pattern("carved.other.example"),
    ]
    assert service.domains[2].matches == ("eu-api.cloud.example",)
    assert (service.domains[3].shared, service.domains[3].paths) == (True, ("/ai",))
    assert service.domains[4].within == "other"


def test_what_is_left_out_is_unknown() -> None:
    service = read(
        "id: sample\ntitle: Sample\nvendor: {name: Somebody}\ncategory: image\n"
        "domains: [{name: sample.example, role: web, sources: [inferred]}]"
    )
    assert (service.vendor_country, service.parent, service.data_countries) == ("ZZ", None, frozenset())
    assert (service.ended, service.serves_models) == (None, ())
    assert (service.on_premises, service.apps, service.status) == (None, (), "active")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("category: chat", "categroy: chat", 5, "unknown key `categroy`; did you mean `category`?"),
        ("chat-assistant", "chat-asistant", 5, "unknown category `chat-asistant`; did you mean `chat-assistant`?"),
        ("id: sample\n", "", 1, "`id` is missing"),
        ("id: sample", "id: other", 1, "id `other` is not the file's name `sample`: rename one of them"),
        ("id: sample", "id: Sam_ple", 1, "`Sam_ple` is no id: use lower-case letters, digits and single hyphens"),
        ("country: NO,", "country: no,", 4, "unknown country code of ISO 3166 `no`; did you mean `NO`?"),
        ("[NO, SE]", "[ZZ]", 6, "unknown country code of ISO 3166 `ZZ`"),
        ("[NO, SE]", "[]", 6, "`data` names no country: leave it out where none is established"),
        ("2026-04-09", "9 April", 9, "`9 April` is no date: write year-month-day"),
        ("Sample.EXAMPLE.", "a..example", 13, "`a..example` is no domain: name has an empty label"),
        ("Sample.EXAMPLE.", '"*.example"', 13, "`*.example` is no domain: `*.example`: write `example`, which covers"),
        ("Sample.EXAMPLE.", "co.kr", 13, "`co.kr` covers domains of many owners"),
        ("Sample.EXAMPLE.", "com", 13, "`com` covers domains of many owners"),
        ("Sample.EXAMPLE.", "github.io", 13, "`github.io` covers domains of many owners"),
        ("match: exact", "match: exakt", 14, "unknown way to match `exakt`; did you mean `exact`?"),
        ("match: exact", "match: glob", 14, "`sample.cloud.example` is no glob: it has no asterisk"),
        ('"*-api.cloud.example"', '"*-api.cloud.example", match: exact', 15, "has an asterisk, so it is a glob"),
        ("role: cdn", "role: content", 14, "unknown role `content`"),
        ("shared: true, ", "", 16, "`paths` tell a service apart on a shared domain: add `shared: true`"),
        ("shared: true", "shared: yep", 16, "unknown answer `yep`"),
        ("[/ai]", "[ai]", 16, "`ai` is no path prefix: it starts with a slash and goes on"),
        ("[/ai]", "[/]", 16, "`/` is no path prefix: it starts with a slash and goes on"),
        (", sources: [v2fly]", "", 13, "domain has no `sources`: name a list or page, or write `inferred`"),
        ("carved.other.example", "sample.example", 17, "`sample.example` is given twice"),
        ("[eu-api.cloud.example]", "[a b]", 15, "`a b` is no host name: name has a space"),
        ("title: {en", "title: {english", 2, "`english` is no language tag: write `en` or `ko`"),
        ("{en: Sample, ko: 표본}", "{}", 2, "`title` is given in no language"),
        ("title: {en: Sample, ko: 표본}", "title: [Sample]", 2, "expected a text"),
        ("aliases: [Specimen]", "aliases: Specimen", 3, "expected a list"),
        ("note: read twice", 'note: "  "', 11, "text is empty or has a control character"),
        ("note: read twice", "note: once\nnote: twice", 12, "key `note` is given twice"),
        ("note: read twice", "note: [unclosed", 12, "not YAML: did not find expected ',' or ']'"),
        ("note: read twice", "note: *nobody", 11, "not YAML: found undefined alias"),
    ],
)  # fmt: skip
def test_faults_name_the_line_and_the_remedy(old: str, new: str, line: int, message: str) -> None:
    assert old in FULL
    with pytest.raises(ServiceFault) as caught:
        read(FULL.replace(old, new, 1))
    assert caught.value.line == line
    assert message in caught.value.message
    assert str(caught.value) == f"blocklists/services/sample.yaml:{line}: {caught.value.message}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("just words", id="no mapping"),
        pytest.param("[" * 60_000, id="nested deep enough to overflow the stack of the C parser"),
        pytest.param("{" * 30_000 + "}" * 30_000, id="nested mappings"),
        pytest.param("- " * 30_000, id="nested sequences on one line"),
        pytest.param("\n".join(" " * n + "a:" for n in range(340)), id="nested by indentation"),
        pytest.param("x" * 100_000, id="too long"),
        pytest.param("a: &a [*a]", id="an alias to itself"),
        pytest.param("id: \x00", id="control character"),
        pytest.param("\ud800", id="lone surrogate"),
        pytest.param("--- a\n--- b", id="two documents"),
        pytest.param("!!python/object/apply:os.system [ls]", id="a tag that would make an object"),
    ],
)
def test_hostile_texts_are_faults_and_nothing_else(text: str) -> None:
    with pytest.raises(ServiceFault):
        read(text)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_service_or_a_fault(text: str) -> None:
    with pytest.raises(ServiceFault):
        read(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_is_a_service_or_a_fault(data: st.DataObject) -> None:
    """Cut, overwrite or repeat a piece of a file that is right."""
    path = data.draw(st.sampled_from(files()))
    text = path.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    damaged = text[:start] + data.draw(st.text(max_size=10)) + text[end:]
    try:
        domains = parse_service(damaged, file=path.name).domains
    except ServiceFault as fault:
        line = fault.line
    else:
        assert domains
        return
    assert 1 <= line <= len(damaged.splitlines()) + 2  # YAML breaks lines at U+0085 too
