"""Every page in every state, with the organisation's own words, for the administrator to look at; tickets are void."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sumun.model.decision import Decision, Reason
from sumun.model.organisation import Organisation
from sumun.model.rule import Action, Rule
from sumun.model.segment import Segment
from sumun.model.service import Service
from sumun.model.verdict import DataExposed
from sumun.pages.asked import Asked, Failure, Page
from sumun.pages.offer import Answer, Ask, Offer, Result
from sumun.pages.render import render, render_failure, render_result
from sumun.pages.words import LANGUAGES

_INCIDENT = "0000-0000-0000-0000"
_HOST = "service.example"
_DESK = "Security Desk"
_ASKS = {Action.BLOCK: Ask.REVIEW, Action.WARN: Ask.ACKNOWLEDGE, Action.JUSTIFY: Ask.JUSTIFY}
_LENGTH = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class Shown:
    """One page of the gallery; ``name`` is unique, and made of what may stand in a path."""

    name: str
    language: str
    page: Page


def gallery(
    *,
    segments: Sequence[Segment],
    rules: Sequence[Rule],
    services: Mapping[str, Service],
    organisation: Organisation,
    at: datetime,
) -> Iterator[Shown]:
    """States that any filter has, then the page of each rule that stops somebody, in every language."""
    for language in sorted(LANGUAGES):
        asked = Asked(_HOST, "/", "GET", accept="text/html", accept_language=language)
        show = _Show(asked, organisation, at)
        pages = [*show.states(), *show.ends(), *show.rules(segments, rules, services)]
        yield from (Shown(name, language, page) for name, page in pages)


@dataclass(frozen=True, slots=True)
class _Show:
    asked: Asked
    organisation: Organisation
    at: datetime

    def states(self) -> Iterator[tuple[str, Page]]:
        for action in (Action.BLOCK, Action.WARN, Action.JUSTIFY):
            plain = Offer(_ASKS[action], "void", _LENGTH)
            yield f"{action}", self._held(action, plain)
            yield f"{action}-store-down", self._held(action, replace(plain, available=False))
            if action is not Action.BLOCK:
                yield f"{action}-after-post", self._held(action, replace(plain, repeats=False))
        approved = Offer(Ask.JUSTIFY, "void", _LENGTH, _DESK)
        yield "justify-approver", self._held(Action.JUSTIFY, approved)
        for answer in (Answer.PENDING, Answer.DENIED):
            yield f"justify-{answer}", self._held(Action.JUSTIFY, replace(approved, answer=answer))

    def ends(self) -> Iterator[tuple[str, Page]]:
        asked, organisation, at = self.asked, self.organisation, self.at
        for result in Result:
            page = render_result(asked, kind=result, back="/", organisation=organisation, incident=_INCIDENT, at=at)
            yield f"result-{_slug(result)}", page
        for failure in Failure:
            page = render_failure(asked, kind=failure, organisation=organisation, incident=_INCIDENT, at=at)
            yield f"failure-{_slug(failure)}", page

    def rules(
        self, segments: Sequence[Segment], rules: Sequence[Rule], services: Mapping[str, Service]
    ) -> Iterator[tuple[str, Page]]:
        for segment in segments:
            for rule in (*rules, *segment.rules):
                if not rule.action.lets_through:
                    service = next((services[id_] for id_ in sorted(rule.when.services or ()) if id_ in services), None)
                    offer = Offer(_ASKS[rule.action], "void", rule.ttl or _LENGTH, rule.approver)
                    page = self._page(Decision(rule.action, Reason.RULE, segment.name, service, rule), segment, offer)
                    yield f"rule-{segment.name}-{rule.id}", page

    def _held(self, action: Action, offer: Offer) -> Page:
        return self._page(Decision(action, Reason.RULE, "segment"), None, offer)

    def _page(self, decision: Decision, segment: Segment | None, offer: Offer) -> Page:
        return render(
            self.asked, decision, segment=segment, organisation=self.organisation, incident=_INCIDENT, at=self.at,
            data_exposed=DataExposed.NONE, offer=offer,
        )  # fmt: skip


def _slug(word: str) -> str:
    return word.replace("_", "-")
