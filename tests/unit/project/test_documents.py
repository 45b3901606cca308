"""Documents are tested: links, commands, words and numbers in them agree with the project."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import click
import pytest

from sumun.catalogue.categories import CATEGORIES
from sumun.cli.app import cli
from sumun.config.parse import parse_config
from sumun.model.decision import Reason
from sumun.model.request import Facet
from sumun.model.rule import Action
from sumun.model.segment import DnsAnswer
from sumun.model.verdict import DataExposed, Verdict
from sumun.policy.engine import Policy
from tests.support.project import ROOT, code_in, commands_in, documents, own_files

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_NUMBERED = re.compile(r"\b(\d[a-z]?)\) ([^;\n]+)")
_TEXT = {".md", ".py", ".toml", ".yaml", ".yml", ".json", ".txt", ".service", ".sysusers", ".html", ".j2", ""}

FOREIGN = {
    "a path of one machine": r"(?<![\w.*])/(?:work|root|home/\w+)/\w",
    "the host of a package or image registry": "|".join(
        rf"\b{host}\.{top}\b"
        for host, top in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "(com|org)"),
            ("docker", "io"),
            ("ghcr", "io"),
            ("quay", "io"),
        )
    ),
    "the host of a package mirror": rf"\b(?:deb|security|snapshot)\.{'debian'}\.org\b",
    "something outside the repository": r"\b(?:mission|design|style)\.md\b|\bshared/data\b",
}


def _slug(heading: str) -> str:
    """The anchor that a heading gets: lower case, hyphens for spaces, no punctuation."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def _anchors(document: Path) -> set[str]:
    return {_slug(line.lstrip("#")) for line in document.read_text().splitlines() if line.startswith("#")}


def test_links_lead_somewhere() -> None:
    followed, broken = 0, []
    for document in documents():
        prose = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
        for link in _LINK.findall(prose):
            if re.match(r"[a-z]+:", link):
                continue
            target, _, anchor = link.partition("#")
            path = (document.parent / target).resolve() if target else document
            followed += 1
            if not path.exists() or (anchor and anchor not in _anchors(path)):
                broken.append(f"{document.relative_to(ROOT)}: {link}")
    assert not broken
    assert followed >= 30


def test_every_page_is_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        document = ahead.pop()
        if document in seen or document.suffix != ".md" or not document.exists():
            continue
        seen.add(document)
        links = (link.partition("#")[0] for link in _LINK.findall(document.read_text()))
        ahead += [(document.parent / link).resolve() for link in links if link and "://" not in link]
    pages = {path for path in documents() if ROOT / "docs" in path.parents}
    assert pages <= seen


def test_commands_in_documents_exist() -> None:
    shown = set.union(*(commands_in(code_in(document.read_text())) for document in documents()))
    assert shown >= {"up", "check", "explain"}
    assert shown <= set(cli.list_commands(click.Context(cli)))


def test_make_targets_in_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {t for d in documents() for t in re.findall(r"(?:^|`)make ([a-z]+)", code_in(d.read_text()), re.MULTILINE)}
    assert {"run", "test", "check"} <= shown <= targets


@pytest.mark.parametrize("words", [Action, Reason, Verdict, Facet, DataExposed, DnsAnswer], ids=lambda w: w.__name__)
def test_every_word_of_a_closed_set_is_in_the_reference(words: type[StrEnum]) -> None:
    reference = (ROOT / "docs/reference/decisions.md").read_text()
    assert [word for word in words if f"| `{word}` |" not in reference] == []


def _keys(schema: object) -> Iterator[str]:
    """Every property that a JSON Schema names, wherever it stands."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        for part in schema.values():
            yield from _keys(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _keys(part)


def test_every_key_of_the_configuration_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text()
    keys = set(_keys(json.loads((ROOT / "config/schema.json").read_text())))
    assert len(keys) > 50
    assert {key for key in keys if not re.search(rf"`(?:[a-z]+\.)?{key}`", page)} == set()


def test_every_example_of_a_configuration_is_sound() -> None:
    """A reader will copy them: those that are whole files load, with the real catalogue."""
    whole = [
        block
        for document in documents()
        for block in re.findall(r"^```yaml\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)
        if "version: 1" in block
    ]
    assert whole
    services = {path.stem for path in (ROOT / "blocklists/services").glob("*.yaml")}
    for block in whole:
        parse_config(block, file="example.yaml", services=services, categories=CATEGORIES)


def test_the_numbered_checks_agree() -> None:
    """The order of the questions is written twice, in the code and for people; they may not drift apart."""
    page = (ROOT / "docs/explanation/how-a-decision-is-made.md").read_text()
    comments = "\n".join(re.findall(r"# (\d.*)", inspect.getsource(Policy.decide)))
    in_code = [(number, words.strip().lower()) for number, words in _NUMBERED.findall(comments)]
    headings = re.findall(r"^#+ (\d[a-z]?)\) (.+)$", page, re.MULTILINE)
    assert [number for number, _ in in_code] == ["0", "1", "2", "2a", "2b", "3", "4"]
    assert [(number, words.strip().lower()) for number, words in headings] == in_code


@pytest.mark.parametrize("what", FOREIGN)
def test_the_project_speaks_of_itself_alone(what: str) -> None:
    pattern = re.compile(FOREIGN[what])
    texts = [path for path in own_files() if path.suffix in _TEXT and path.name != "LICENSE"]
    assert len(texts) > 100
    assert [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in texts
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ] == []


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
