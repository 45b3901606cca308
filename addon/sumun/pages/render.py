"""Decision in, bytes out: the one door of this package."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from sumun.model.decision import Decision
from sumun.model.organisation import Organisation
from sumun.model.segment import Segment
from sumun.model.service import Service
from sumun.model.verdict import DataExposed
from sumun.pages import headers
from sumun.pages.api import api_error, calls_api
from sumun.pages.asked import Asked, Failure, Page
from sumun.pages.draft import Drafts
from sumun.pages.form import Form, asset_type, form_of
from sumun.pages.html import page_of
from sumun.pages.language import negotiate
from sumun.pages.offer import Offer, Result
from sumun.pages.sentences import message, plain_text
from sumun.pages.story import Case, Story, tell_decision, tell_failure, tell_result
from sumun.pages.words import LANGUAGES

__all__ = ["Asked", "Failure", "Page", "render", "render_failure", "render_result"]

_DRAFTS = Drafts()
_TEXT = "text/plain; charset=utf-8"
_GRPC_STATUS = {403: "7", 400: "3"}
"""PERMISSION_DENIED, INVALID_ARGUMENT, UNAVAILABLE (gRPC, statuscodes.md)."""


def render(  # noqa: PLR0913 - each is said by name
    asked: Asked,
    decision: Decision,
    *,
    segment: Segment | None,
    organisation: Organisation,
    incident: str,
    at: datetime,
    data_exposed: DataExposed,
    offer: Offer | None = None,
) -> Page:
    """Answer a request that policy does not let through.

    ``offer`` is what the person can do on the page, ``segment`` None for a client of no segment, ``incident`` the id of
    the event, ``at`` aware. Total: hostile text is cleaned and escaped, a decision that lets through is told as a
    block. Status 403; 204 for a CORS preflight.
    """
    case = Case.of(asked, organisation, incident, at, segment)
    language = negotiate(asked.accept_language, LANGUAGES)

    def tell() -> Story:
        return tell_decision(case, language, decision, data_exposed=data_exposed, offer=offer)

    form = form_of(asked, calls_api=calls_api(asked, decision.service))
    if form is not Form.PAGE:
        return _for_method(asked, _in_form(form, asked, tell(), decision.service))
    page = _DRAFTS.page(
        case, decision, tell, language=language, organisation=organisation, data_exposed=data_exposed, offer=offer
    )
    return _for_method(asked, page)


def render_failure(
    asked: Asked,
    *,
    kind: Failure,
    organisation: Organisation,
    incident: str,
    at: datetime,
    segment: Segment | None = None,
) -> Page:
    """Answer a request that no rule forbids and that was not passed on all the same: status 400, 403 or 502."""
    language = negotiate(asked.accept_language, LANGUAGES)
    story = tell_failure(Case.of(asked, organisation, incident, at, segment), language, kind)
    return _page(asked, story, None)


def render_result(
    asked: Asked,
    *,
    kind: Result,
    back: str,
    organisation: Organisation,
    incident: str,
    at: datetime,
    segment: Segment | None = None,
) -> Page:
    """Answer a form that was sent; ``back`` is a path on the same site, or empty."""
    language = negotiate(asked.accept_language, LANGUAGES)
    story = tell_result(Case.of(asked, organisation, incident, at, segment), language, kind, back)
    return _page(asked, story, None)


def _page(asked: Asked, story: Story, service: Service | None) -> Page:
    form = form_of(asked, calls_api=calls_api(asked, service))
    return _for_method(asked, _in_form(form, asked, story, service))


def _for_method(asked: Asked, page: Page) -> Page:
    return Page(page.status, page.headers, b"") if asked.method == "HEAD" else page


def _in_form(form: Form, asked: Asked, story: Story, service: Service | None) -> Page:
    match form:
        case Form.PAGE:
            return page_of(story)
        case Form.PREFLIGHT:
            return Page(204, headers.common(_TEXT, story) + headers.preflight(asked), b"")
        case Form.ASSET:
            return Page(story.status, headers.common(asset_type(asked) or _TEXT, story), b"")
        case Form.GRPC:
            return _grpc(asked, story)
        case Form.TEXT | Form.WEBSOCKET:
            fields = headers.common(_TEXT, story) + headers.for_programs(asked, story)
            return Page(story.status, fields, plain_text(_readable(asked, story)).encode())
        case Form.API:
            error = api_error(asked, service, _readable(asked, story))
            fields = headers.common("application/json", story) + headers.for_programs(asked, story) + error.headers
            return Page(story.status, fields, error.body)


def _readable(asked: Asked, story: Story) -> Story:
    """The script of a website is a stranger: it learns that it was stopped, not what this organisation's rules are."""
    return story.for_strangers() if asked.fetch_dest or asked.origin else story


def _grpc(asked: Asked, story: Story) -> Page:
    """A response of headers only (gRPC over HTTP/2, "Trailers-Only"), its message percent-encoded."""
    fields = (
        *headers.common("application/grpc", story),
        *headers.for_programs(asked, story),
        ("grpc-status", _GRPC_STATUS.get(story.status, "14")),
        ("grpc-message", quote(message(_readable(asked, story)), safe=" ,.:;()'/@")),
    )
    return Page(story.status, fields, b"")
