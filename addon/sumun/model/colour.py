"""Colours of the pages, and whether they can be read."""

from __future__ import annotations

from dataclasses import dataclass

READABLE = 4.5
"""Contrast of text and what is behind it that WCAG 2.2 asks for (1.4.3, level AA)."""
LIGHT_GROUNDS, DARK_GROUNDS = ("#ffffff", "#e3f1f2"), ("#19212a", "#15333a")
"""What the pages put an accent on: ``--paper`` and ``--tint`` of their style sheet."""
_WHITE, _BLACK = "#ffffff", "#000000"


@dataclass(frozen=True, slots=True)
class Accent:
    """The organisation's own colour, as ``#rrggbb``, on light and on dark ground: links, buttons and marks."""

    light: str
    dark: str


def contrast(one: str, other: str) -> float:
    """Ratio of the brightness of two colours, 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def on(colour: str) -> str:
    """Black or white, whichever is read more easily on this colour; it is always readable."""
    return max(_WHITE, _BLACK, key=lambda text: contrast(text, colour))


def _luminance(colour: str) -> float:
    """Relative luminance of sRGB (WCAG 2.2)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
