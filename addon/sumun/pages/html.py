"""A story as one self-contained HTML document."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from sumun.model.colour import Accent, on
from sumun.pages import headers
from sumun.pages.asked import Page
from sumun.pages.offer import MAX_REASON, MIN_REASON, RESERVED
from sumun.pages.story import Story


def _resource(name: str) -> str:
    return (files("sumun.pages") / "templates" / name).read_text("utf-8")


def minified(css: str) -> str:
    """Without comments, line ends and indentation; what is left means the same."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    css = re.sub(r"\s+", " ", css)
    return re.sub(r" ?([{};,]) ?", r"\1", css).replace(": ", ":").replace(";}", "}").strip()


STYLE = minified(_resource("page.css"))


@lru_cache(maxsize=256)  # a segment may have a colour of its own
def style_of(accent: Accent | None) -> str:
    """Our style sheet, with the organisation's colour where it has one; on paper everything stays black."""
    if accent is None:
        return STYLE
    light, dark = (f":root{{--accent:{c};--on-accent:{on(c)}}}" for c in (accent.light, accent.dark))
    return f"{STYLE}@media screen{{{light}}}@media screen and (prefers-color-scheme:dark){{{dark}}}"


@lru_cache(maxsize=256)  # a segment may have a colour of its own
def style_hash(accent: Accent | None) -> str:
    """For the Content-Security-Policy: the one style sheet that applies is ours (CSP level 3, 6.7.3.3)."""
    return f"sha256-{b64encode(sha256(style_of(accent).encode()).digest()).decode()}"


SCRIPT = _resource("page.js").strip()
"""Adds the button that copies the incident number; a page is whole without it."""
SCRIPT_HASH = f"sha256-{b64encode(sha256(SCRIPT.encode()).digest()).decode()}"
MAX_PAGE = 30_000
"""Octets; a page that would have more, because the organisation has so much to say, goes without the logo."""
_GROUP = 4
_SCRIPT = Markup(SCRIPT)  # noqa: S704 - comes from this package
_TEMPLATE = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
).from_string(_resource("page.html.j2"))


def page_of(story: Story) -> Page:
    """The document with its header fields."""
    fields = headers.common("text/html; charset=utf-8", story) + headers.for_pages(
        style_hash(story.accent), SCRIPT_HASH, forms=story.offer is not None, logo=story.logo is not None
    )
    return Page(story.status, fields, html(story))


def html(story: Story) -> bytes:
    """Every text is escaped by the template; our own style sheet and script alone are taken as they are."""
    # INVARIANT: both come from this package; of the configuration only checked colours are in the style sheet.
    style = Markup(style_of(story.accent))  # noqa: S704 - see the invariant above
    page = _TEMPLATE.render(
        story=story, words=story.words, style=style, script=_SCRIPT, groups=tuple(groups(story.incident)),
        logo=story.logo.uri if story.logo else "", reserved=RESERVED, least=MIN_REASON, most=MAX_REASON,
    ).encode()  # fmt: skip
    return page if len(page) < MAX_PAGE or story.logo is None else html(replace(story, logo=None))


def groups(incident: str) -> Iterator[str]:
    """Cut an identifier into pieces that can be read out on the phone; together they are the identifier."""
    if "-" in incident:
        yield from re.findall(r"[^-]+-*|-+", incident)
    else:
        yield from (incident[i : i + _GROUP] for i in range(0, len(incident), _GROUP))
