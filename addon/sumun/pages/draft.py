"""Pages whose words stay are made once; what differs from one to the next is put into their gaps.

A page is made with marks in the place of what differs, and cut there. No text of a story has such a mark, for ``clean``
takes control characters out; and a draft that does not give the very page it was made beside is not used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from markupsafe import escape

from sumun.model.decision import Decision
from sumun.model.organisation import Organisation
from sumun.model.verdict import DataExposed
from sumun.pages.asked import Page
from sumun.pages.headers import INCIDENT
from sumun.pages.html import MAX_PAGE, groups, page_of
from sumun.pages.offer import Offer
from sumun.pages.story import Case, Passing, Story, passing, service_of
from sumun.pages.words import LANGUAGES

LIMIT = 256
"""Drafts that are kept, each of at most 30 KB; one more, and all are made anew."""
_INCIDENT, _HOST, _HREF, _TIME, _MACHINE, _TICKET = (chr(n) for n in range(1, 7))
_MARKS = re.compile(f"({_INCIDENT}-?|[{_HOST}-{_TICKET}])")
_MAIL = "mailto:"


@dataclass(frozen=True, slots=True)
class Draft:
    """One page without what passes."""

    status: int
    headers: tuple[tuple[str, str], ...]
    pieces: tuple[str, ...]
    """Of the document, every second one a mark."""
    has_logo: bool

    @classmethod
    def of(cls, story: Story) -> Draft:
        """Make it of any story with its words."""
        page = page_of(_marked(story))
        return cls(page.status, page.headers, tuple(_MARKS.split(page.body.decode())), story.logo is not None)

    def filled(self, what: Passing, ticket: str) -> Page | None:
        """The page; None: it is so long that the logo may have to be left out."""
        number = "</span><span>".join(groups(what.incident))
        values = {
            _INCIDENT: number, f"{_INCIDENT}-": number, _HOST: escape(what.host), _TIME: escape(what.moment.text),
            _HREF: escape(what.contact.href.removeprefix(_MAIL)), _MACHINE: escape(what.moment.machine),
            _TICKET: escape(ticket),
        }  # fmt: skip
        pieces = list(self.pieces)
        pieces[1::2] = [values[mark] for mark in pieces[1::2]]
        body = "".join(pieces).encode()
        if self.has_logo and len(body) >= MAX_PAGE:
            return None
        headers = tuple((name, what.incident if name == INCIDENT else value) for name, value in self.headers)
        return Page(self.status, headers, body)


def _marked(story: Story) -> Story:
    contact, moment, offer = story.contact, story.facts[-1], story.offer
    return replace(
        story,
        incident=f"{_INCIDENT}-" if "-" in story.incident else _INCIDENT,
        host=_HOST,
        contact=replace(contact, href=_MAIL + _HREF) if contact.is_mail else contact,
        facts=(*story.facts[:-1], replace(moment, text=_TIME, machine=_MACHINE)),
        offer=replace(offer, ticket=_TICKET) if offer else None,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    draft: Draft | None
    held: tuple[object, ...]
    """What it is known by: while it is there, nothing else has the same identity."""


_SEEN = _Known(None, ())
"""Asked for once: whoever goes through all there is, is not to have a draft made of each."""


class Drafts:
    """The drafts of one process, found by what they depend on; values of the configuration by their identity."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._known: dict[tuple[object, ...], _Known] = {}

    def page(
        self,
        case: Case,
        decision: Decision,
        tell: Callable[[], Story],
        *,
        language: str,
        organisation: Organisation,
        data_exposed: DataExposed,
        offer: Offer | None,
    ) -> Page:
        """The page of the story that ``tell`` would tell; ``organisation`` before its segment's words replace some."""
        held = (decision.rule, decision.service, case.segment, organisation)
        shape = (offer.ask, offer.length, offer.approver, offer.answer, offer.repeats, offer.available) if offer else ()
        key = (language, decision.action, decision.reason, data_exposed, "-" in case.incident, shape, *map(id, held))
        known, service = self._known.get(key), service_of(decision, language)
        what, ticket = passing(case, LANGUAGES[language], service), offer.ticket if offer else ""
        names_host = not service and offer is not None and bool(offer.length)  # in "remembered for ..."
        whole = bool(what.incident and what.host) and not names_host
        if whole and known and known.draft and (page := known.draft.filled(what, ticket)):
            return page
        page = page_of(story := tell())
        if whole and known is None:
            self._keep(key, _SEEN)
        elif whole and known is _SEEN:
            draft = Draft.of(story)
            self._keep(key, _Known(draft if draft.filled(what, ticket) == page else None, held))
        return page

    def _keep(self, key: tuple[object, ...], known: _Known) -> None:
        if len(self._known) >= self._limit:
            self._known.clear()
        self._known[key] = known
