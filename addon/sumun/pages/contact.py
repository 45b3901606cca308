"""Whom a person can ask: the organisation's contact as something to click, where it is one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from sumun.pages.clean import clean

_MAX_CONTACT = 300
_MAIL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,253}")
_LINK = re.compile(r"https://[^\s\"'<>\\^`{|}]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or a desk to turn to."""

    label: str = ""
    """As it is shown; empty: the organisation named none."""
    href: str = ""
    """Empty: the contact is plain text, such as a telephone extension."""

    @property
    def is_mail(self) -> bool:
        """Whether the link writes an e-mail."""
        return self.href.startswith("mailto:")


def contact_of(text: str, *, subject: str, body: str) -> Contact:
    """Read what the administrator wrote; an e-mail gets a subject and a body to start from (RFC 6068)."""
    label = clean(text, _MAX_CONTACT)
    if _MAIL.fullmatch(label):
        return Contact(label, f"mailto:{quote(label, safe='@')}?subject={quote(subject)}&body={_lines(body)}")
    return Contact(label, safe_link(label))


def safe_link(text: str) -> str:
    """The text if it is an https address, else nothing."""
    return text if _LINK.fullmatch(text) else ""


def _lines(body: str) -> str:
    return quote(body.replace("\n", "\r\n"))
