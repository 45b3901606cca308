"""The page in docs/reference is what the catalogue says today."""

from __future__ import annotations

import os

from sumun.catalogue.categories import CATEGORIES, ROLES
from sumun.catalogue.reference import reference_page
from sumun.catalogue.service_file import _DOMAIN_KEYS, _SERVICE_KEYS
from tests.unit.catalogue.corpus import ROOT, services

PAGE = ROOT / "docs" / "reference" / "catalogue.md"


def test_page_is_up_to_date() -> None:
    """`UPDATE_GOLDEN=1 pytest tests/unit/catalogue/test_reference.py` renews it: read the diff."""
    page = reference_page(services())
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page


def test_page_does_not_depend_on_the_order() -> None:
    assert reference_page(services()[::-1]) == reference_page(services())


def test_page_explains_every_key_category_and_role() -> None:
    page = reference_page(services())
    words = [*_SERVICE_KEYS, *_DOMAIN_KEYS, *CATEGORIES, *ROLES]
    assert [word for word in words if f"`{word}`" not in page and f"`{word}:" not in page] == []
