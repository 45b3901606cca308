"""Lists of a request that are ordered by liking: ``text/html;q=0.9, */*;q=0.8`` (RFC 9110, 12.4.2)."""

from __future__ import annotations

from collections.abc import Iterator

_MAX_FIELD = 1024
"""Characters looked at; browsers send fewer than 200."""


def weighted(field: str) -> Iterator[tuple[str, float]]:
    """Each value in lower case with its weight from 0 to 1; never fails."""
    for item in field[:_MAX_FIELD].lower().split(","):
        value, *parameters = (part.strip() for part in item.split(";"))
        yield value, _weight_among(parameters)


def _weight_among(parameters: list[str]) -> float:
    """1 where no weight is given, 0 where it cannot be read."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return _weight(value.strip())
    return 1.0


def _weight(text: str) -> float:
    digits = text.replace(".", "", 1)
    if not (digits.isascii() and digits.isdigit() and len(text) <= 5):
        return 0.0
    return min(float(text), 1.0)
