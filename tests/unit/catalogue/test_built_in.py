"""The lists that come with Sumun are the files that come with Sumun."""

from __future__ import annotations

from sumun.catalogue.built_in import BUILT_IN, NEVER_BLOCK, RESERVED, parse_names
from sumun.model.name import DomainName
from tests.unit.catalogue.corpus import LISTS, names


def test_every_file_has_an_id_and_every_id_a_file() -> None:
    assert {path.stem for path in LISTS.glob("*.txt")} == RESERVED
    assert NEVER_BLOCK not in BUILT_IN


def test_names_are_read_without_their_comments() -> None:
    assert parse_names("# why\nA.example  # here\n\nb.example\n") == (DomainName("a.example"), DomainName("b.example"))
    path = LISTS / f"{NEVER_BLOCK}.txt"
    assert parse_names(path.read_text("utf-8")) == names(path)
