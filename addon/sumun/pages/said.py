"""What a form said: hostile until it is read here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from sumun.pages.offer import MAX_REASON, MIN_REASON, Purpose

_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffd\ud800-\udfff]")
"""Controls and what reorders text: nobody types them, and a log or a terminal should never meet them."""
_FIELDS = 8
MAX_NAME = 120
"""Characters of a person's name."""


class BadText(ValueError):
    """Too short, too long, or with characters that do not belong in a text."""


@dataclass(frozen=True, slots=True)
class Said:
    """The fields of a form, as they came."""

    ticket: str = ""
    reason: str = ""
    purpose: str = ""


def read_form(body: bytes) -> Said:
    """Read ``application/x-www-form-urlencoded`` (URL standard, 5.1); the first of equal fields counts."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=_FIELDS)
    except ValueError:
        return Said()
    fields = dict(reversed(pairs))
    return Said(*(fields.get(name, "") for name in ("ticket", "reason", "purpose")))


def reason(text: str) -> str:
    """On one line, of a length that says something; raises BadText."""
    if len(text) > 4 * MAX_REASON or _UNFIT.search(text.replace("\r\n", "\n").replace("\t", " ")):
        raise BadText
    line = " ".join(text.split())
    if not MIN_REASON <= len(line) <= MAX_REASON:
        raise BadText
    return line


def name(text: str) -> str:
    """Who somebody says they are, on one line; raises BadText."""
    line = text.strip()
    if not 2 <= len(line) <= MAX_NAME or _UNFIT.search(line) or "\n" in line or "\t" in line:
        raise BadText
    return line


def purpose(text: str) -> Purpose:
    """One of the choices; raises BadText."""
    try:
        return Purpose(text)
    except ValueError:
        raise BadText from None
