"""Which form of answer the client can use: told by Fetch metadata where there is any, else by ``Accept``."""

from __future__ import annotations

from enum import StrEnum

from sumun.pages.asked import Asked
from sumun.pages.weights import weighted

_MAX_FIELD = 1024
"""Characters of a header field looked at."""


class Form(StrEnum):
    """How to answer."""

    PAGE = "page"
    """HTML, for a person."""
    API = "api"
    """JSON in the shape of the API called."""
    TEXT = "text"
    ASSET = "asset"
    """An empty body of the type that the page around it expects."""
    WEBSOCKET = "websocket"
    GRPC = "grpc"
    PREFLIGHT = "preflight"


_NAVIGATIONS = frozenset({"", "document", "iframe", "frame", "fencedframe", "embed", "object"})
_READING = frozenset({"GET", "HEAD"})
_SCRIPT = "text/javascript"
_ASSETS = {
    "image": "image/png", "font": "font/woff2", "style": "text/css", "script": _SCRIPT, "worker": _SCRIPT,
    "sharedworker": _SCRIPT, "serviceworker": _SCRIPT, "audioworklet": _SCRIPT, "paintworklet": _SCRIPT,
    "audio": "audio/mpeg", "video": "video/mp4", "track": "text/vtt", "manifest": "application/manifest+json",
    "xslt": "text/xsl", "json": "application/json",
}  # fmt: skip
"""Destinations of the Fetch standard that no person and no error handler reads."""


def form_of(asked: Asked, *, calls_api: bool) -> Form:
    """Choose the form; the first that fits wins.

    A client that takes anything (``*/*``: curl, most HTTP libraries) gets the page where a person would look, and
    an error where it ``calls_api``.
    """
    dest = asked.fetch_dest.strip().lower()
    content_type = asked.content_type[:_MAX_FIELD].lower()
    if asked.method == "OPTIONS" and asked.origin and asked.preflight:
        return Form.PREFLIGHT
    if dest == "websocket" or "websocket" in asked.upgrade[:_MAX_FIELD].lower():
        return Form.WEBSOCKET
    if content_type.startswith("application/grpc"):
        return Form.GRPC
    if asset_type(asked):
        return Form.ASSET
    wanted = _preferred(asked.accept) or ("json" if calls_api or dest or asked.method not in _READING else "html")
    if wanted == "html" and dest in _NAVIGATIONS and "json" not in content_type:
        return Form.PAGE
    return Form.TEXT if wanted == "plain" and dest in _NAVIGATIONS else Form.API


def asset_type(asked: Asked) -> str | None:
    """Content type of what a page tried to embed; None: it embeds nothing."""
    if dest := asked.fetch_dest.strip().lower():
        return _ASSETS.get(dest)
    # Without Fetch metadata (plain http) the first range that a browser lists for an image or a style sheet tells.
    first = asked.accept[:_MAX_FIELD].partition(",")[0].partition(";")[0].strip().lower()
    if first.startswith("image/"):
        return _ASSETS["image"]
    return "text/css" if first == "text/css" else None


def _preferred(accept: str) -> str:
    """The best liked of ``html``, ``json`` and ``plain`` (RFC 9110, 12.5.1); empty where none is named."""
    best, weight = "", 0.0
    for media, quality in weighted(accept):
        form = _FORMS.get(media)
        if form == "html" and quality <= 0 and not best:
            best = "json"  # whatever else it takes, a page it does not
        if form and (quality, form == "html") > (weight, best == "html") and quality > 0:
            best, weight = form, quality
    return best


_FORMS = {
    "text/html": "html", "application/xhtml+xml": "html", "application/json": "json", "text/json": "json",
    "text/event-stream": "json", "text/plain": "plain",
}  # fmt: skip
