"""Contrast of every pair of colours that meet, by the formula of WCAG 2.2 (1.4.3 and 1.4.11)."""

from __future__ import annotations

import re

import pytest

from sumun.model import colour
from sumun.pages.html import STYLE

TEXT, GRAPHIC = 4.5, 3.0
PAIRS = [
    ("ink", "paper", TEXT), ("quiet", "paper", TEXT), ("quiet", "ground", TEXT), ("ink", "ground", TEXT),
    ("accent", "paper", TEXT), ("on-accent", "accent", TEXT), ("accent", "tint", TEXT),
    ("caution", "caution-tint", TEXT), ("caution", "paper", GRAPHIC), ("ink", "caution-tint", TEXT),
    ("focus", "paper", GRAPHIC), ("focus", "ground", GRAPHIC),
]  # fmt: skip


def colours(sheet: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+):(#[0-9a-f]{6})", sheet))


LIGHT = colours(STYLE[: STYLE.index("@media")])
DARK = LIGHT | colours(STYLE[STYLE.index("prefers-color-scheme:dark") : STYLE.index("*{")])
PRINT = LIGHT | colours(STYLE[STYLE.index("@media print") :])


def luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_agrees_with_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")])
@pytest.mark.parametrize(("front", "back", "least"), PAIRS)
def test_colours_can_be_told_apart(scheme: dict[str, str], front: str, back: str, least: float) -> None:
    assert contrast(scheme[front], scheme[back]) >= least


def test_dark_is_dark_and_paper_is_white() -> None:
    assert luminance(DARK["paper"]) < 0.05 < luminance(LIGHT["paper"])
    assert PRINT["paper"] == PRINT["ground"] == "#ffffff"


def test_every_colour_stands_in_a_variable() -> None:
    """A colour beside the variables would escape the tests above."""
    rules = re.sub(r"--[a-z-]+:[^;}]+", "", STYLE[: STYLE.index("@media print")])
    assert not re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsl", rules)
    assert len(LIGHT) >= 12


def test_an_organisations_colour_is_measured_against_what_it_stands_on() -> None:
    assert (LIGHT["paper"], LIGHT["tint"]) == colour.LIGHT_GROUNDS
    assert (DARK["paper"], DARK["tint"]) == colour.DARK_GROUNDS
    assert colour.contrast("#777777", "#ffffff") == pytest.approx(contrast("#777777", "#ffffff"))
