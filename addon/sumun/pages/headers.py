"""Header fields of every answer; INVARIANT: values are printable ASCII, so none can end a line."""

from __future__ import annotations

import re

from sumun.pages.asked import Asked
from sumun.pages.story import Story

type Headers = tuple[tuple[str, str], ...]

_ORIGIN = re.compile(r"(https?://[a-z0-9.-]{1,253}(:[0-9]{1,5})?|null)")
_FIELD_NAMES = re.compile(r"[A-Za-z0-9-]{1,64}(, ?[A-Za-z0-9-]{1,64}){0,39}")
INCIDENT = "x-sumun-incident"
_NO_RETRY = (("x-should-retry", "false"),)
"""Understood by the SDKs of OpenAI and Anthropic and those generated like them; a refusal stays a refusal."""


def common(content_type: str, story: Story) -> Headers:
    """For any answer of ours: kept by no cache, indexed by nobody, taken for nothing else."""
    return (
        ("content-type", content_type),
        ("content-language", story.language),
        ("cache-control", "no-store"),
        ("vary", "Accept, Accept-Language, Origin, Sec-Fetch-Dest"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-robots-tag", "noindex"),
        (INCIDENT, story.incident),
    )


def for_pages(style_hash: str, script_hash: str, *, forms: bool, logo: bool) -> Headers:
    """A page runs our one script, loads nothing and stands in no frame; a form goes to the filter (CSP level 3)."""
    parts = [
        "default-src 'none'",
        f"style-src '{style_hash}'",
        f"script-src '{script_hash}'",
        *(["img-src data:"] if logo else []),
        "base-uri 'none'",
        f"form-action {"'self'" if forms else "'none'"}",
        "frame-ancestors 'none'",
    ]
    return ("content-security-policy", "; ".join(parts)), ("x-frame-options", "DENY")


def for_programs(asked: Asked, story: Story) -> Headers:
    """No retry where asking again changes nothing, and readable by the script that asked."""
    retry = _NO_RETRY if story.status < 500 else ()
    return (*retry, *cross_origin(asked))


def cross_origin(asked: Asked) -> Headers:
    """Let the page's own error handler see the answer, which then says nothing about the organisation (Fetch, 3.3)."""
    if not _ORIGIN.fullmatch(asked.origin):
        return ()
    return (
        ("access-control-allow-origin", asked.origin),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-sumun-incident, x-should-retry"),
    )


def preflight(asked: Asked) -> Headers:
    """Let a preflight pass, so that the request itself comes and is told why it is stopped."""
    named = asked.preflight_headers
    return (
        *cross_origin(asked),
        ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
        ("access-control-allow-headers", named if _FIELD_NAMES.fullmatch(named) else "authorization, content-type"),
    )
