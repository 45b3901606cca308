"""What is to be told, in one language, before it becomes HTML, JSON or plain text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from sumun.model.colour import Accent
from sumun.model.decision import Decision
from sumun.model.logo import Logo
from sumun.model.organisation import Organisation
from sumun.model.rule import Action, Rule
from sumun.model.segment import Segment
from sumun.model.verdict import DataExposed
from sumun.pages.asked import Asked, Failure
from sumun.pages.clean import clean, paragraphs, token
from sumun.pages.contact import Contact, contact_of, safe_link
from sumun.pages.offer import Answer, Offer, Result
from sumun.pages.words import LANGUAGES, Talk, Words

_NAME = 120
"""Characters of a title, id or organisation name."""
_HOST = 253
"""Longest host name (RFC 1035, 2.3.4)."""
_REASON = 2000
_REFERENCE = 500
_DATA_LEFT = frozenset({DataExposed.REQUEST_HEADERS, DataExposed.REQUEST_BODY})
_FAILURE_STATUS = {
    Failure.FILTER: 403,  # not 503: asking again changes nothing, and nobody should be invited to try
    Failure.BAD_REQUEST: 400,
    Failure.HOST_MISMATCH: 400,
    Failure.UPSTREAM_CERTIFICATE: 502,
    Failure.UPSTREAM_UNREACHABLE: 502,
}


_RESULT_STATUS = {
    Result.REVIEW_ASKED: 200,
    Result.USED: 409,
    Result.INVALID: 403,
    Result.CROSS_SITE: 403,
    Result.BAD_TEXT: 422,
    Result.TOO_LARGE: 413,
    Result.FULL: 429,
    Result.UNAVAILABLE: 503,
    Result.NOT_FOUND: 404,
}


class Tone(StrEnum):
    """The look of a page; its words never depend on colour."""

    STOP = "stop"
    THINK = "think"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of the details."""

    label: str
    text: str
    href: str = ""
    machine: str = ""
    """RFC 3339, where the text is a time."""
    code: bool = False
    """An identifier: left to right, never translated."""


@dataclass(frozen=True, slots=True)
class Story:
    """One answer in one language; texts are cleaned and bounded, not escaped."""

    language: str
    words: Words
    tone: Tone
    status: int
    code: str
    """Machine word for programs."""
    badge: str
    heading: str
    lead: str
    next: str
    incident: str = ""
    host: str = ""
    organisation: str = ""
    why: tuple[str, ...] = ()
    quoted: bool = False
    """Whether ``why`` is in the organisation's own words."""
    notice: str = ""
    request: bool = False
    """Whether the person is told what a request should say."""
    guidance: bool = False
    data: str = ""
    data_left: bool = False
    contact: Contact = field(default_factory=Contact)
    facts: tuple[Fact, ...] = ()
    extras: Mapping[str, str] = field(default_factory=dict)
    """Beside the message, for programs."""
    offer: Offer | None = None
    """What the person can do here; None: nothing but ask somebody."""
    remembered: str = ""
    """For how long, and for what."""
    elsewhere: str = ""
    """For programs: where a person can go on."""
    own_notice: tuple[str, ...] = ()
    """What the segment tells its users on every page."""
    accent: Accent | None = None
    logo: Logo | None = None
    back: str = ""
    """Path on the same site to go back to."""

    def for_strangers(self) -> Story:
        """What the script of a website may read: nothing about the organisation, its segments and its rules."""
        words = self.words
        ask = words.tell_administrator if self.tone is Tone.FAULT else words.ask_administrator
        return replace(
            self, organisation="", why=(), contact=Contact(), next=ask, extras={}, facts=(), offer=None, own_notice=()
        )


@dataclass(frozen=True, slots=True)
class Passing:
    """What differs from one page to the next, where all the words are the same."""

    incident: str
    host: str
    contact: Contact
    moment: Fact


@dataclass(frozen=True, slots=True)
class Case:
    """What every story is told about."""

    asked: Asked
    organisation: Organisation
    """As the users of the segment know it."""
    incident: str
    at: datetime
    segment: Segment | None = None
    """None: a client of no segment, or one whose segment nobody could find."""

    @classmethod
    def of(cls, asked: Asked, organisation: Organisation, incident: str, at: datetime, segment: Segment | None) -> Case:
        """With what the segment says in place of the organisation."""
        return cls(asked, organisation.within(segment), incident, at, segment)


def tell_decision(
    case: Case,
    language: str,
    decision: Decision,
    *,
    data_exposed: DataExposed,
    offer: Offer | None = None,
) -> Story:
    """Tell a decision that does not let through; any other is told as a block, which is never a pass."""
    segment, words = case.segment, LANGUAGES[language]
    talk = _talk(decision.action, words)
    service = service_of(decision, language)
    rule = decision.rule or Rule(id="", action=decision.action)
    own = paragraphs(rule.reason.within(language), _REASON)
    held = decision.action in (Action.WARN, Action.JUSTIFY)
    can_pass = offer is not None and offer.available and held
    waits = can_pass and offer is not None and offer.answer is Answer.PENDING
    there = f"https://{clean(case.asked.host, _HOST)}/" if can_pass else ""
    told = Story(
        language=language,
        words=words,
        tone=Tone.THINK if held else Tone.STOP,
        status=403,
        code="held_by_policy" if held else "blocked_by_policy",
        badge=talk.badge,
        heading=talk.heading.format(service=service) if service else talk.heading_site,
        lead=words.pending.format(approver=offer.approver) if waits and offer else talk.lead,
        next=words.questions if can_pass else _ask(case, words),
        why=own or (words.reasons[decision.reason],),
        quoted=bool(own),
        notice="" if can_pass or not held else words.no_passing_on,
        elsewhere=words.elsewhere.format(address=there) if there else "",
        offer=offer if offer and offer.available else None,
        remembered=_remembered(offer, words, service or clean(case.asked.host, _HOST)),
        request=decision.action is Action.JUSTIFY and not can_pass,
        guidance=held and not waits,  # who was there already looks for the answer
        data=words.exposures[data_exposed],
        data_left=data_exposed in _DATA_LEFT,
        facts=_facts(words, rule, segment, language),
        extras={**_extras(decision, rule, segment, data_exposed), **({"continue_at": there} if there else {})},
    )
    return _placed(told, case, service)


def tell_failure(case: Case, language: str, kind: Failure) -> Story:
    """Tell that there is no answer though no rule forbids one."""
    words = LANGUAGES[language]
    trouble = words.failures[kind]
    told = Story(
        language=language,
        words=words,
        tone=Tone.FAULT,
        status=_FAILURE_STATUS[kind],
        code=str(kind),
        badge=trouble.badge,
        heading=trouble.heading,
        lead=trouble.lead,
        next=words.tell_contact if case.organisation.contact.strip() else words.tell_administrator,
    )
    return _placed(told, case, "")


def tell_result(case: Case, language: str, kind: Result, back: str) -> Story:
    """Tell what came of a form; ``back`` is a path on the same site."""
    words = LANGUAGES[language]
    said = words.results[kind]
    told = Story(
        language=language,
        words=words,
        tone=Tone.FAULT,
        status=_RESULT_STATUS[kind],
        code=str(kind),
        badge=said.badge,
        heading=said.heading,
        lead=said.lead,
        next="",
        back=back,
    )
    return _placed(told, case, "")


def _ask(case: Case, words: Words) -> str:
    return words.ask_contact if case.organisation.contact.strip() else words.ask_administrator


def _remembered(offer: Offer | None, words: Words, what: str) -> str:
    if offer is None or not offer.length:
        return ""
    return words.remembered.format(length=words.length(offer.length), service=what)


def service_of(decision: Decision, language: str) -> str:
    """What the service is called; empty where the catalogue knows none."""
    return clean(decision.service.title.within(language) or decision.service.id, _NAME) if decision.service else ""


def passing(case: Case, words: Words, service: str) -> Passing:
    """Where, when, under which number, and whom to ask about it."""
    incident, host = token(case.incident), clean(case.asked.host, _HOST)
    what, moment = service or host, _moment(words, words.time_label, case.at)
    contact = contact_of(
        case.organisation.contact,
        subject=words.mail_subject.format(service=what, incident=incident),
        body=words.mail_body.format(service=what, incident=incident, time=moment.text),
    )
    return Passing(incident, host, contact, moment)


def _placed(told: Story, case: Case, service: str) -> Story:
    """Add what every story has: where, when, for whom and under which number."""
    what = passing(case, told.words, service)
    return replace(
        told,
        incident=what.incident,
        host=what.host,
        own_notice=paragraphs(case.segment.notice.within(told.language), _REASON) if case.segment else (),
        accent=case.organisation.accent,
        logo=case.organisation.logo,
        organisation=clean(case.organisation.name.within(told.language), _NAME),
        contact=what.contact,
        facts=(*told.facts, what.moment),
    )


def _talk(action: Action, words: Words) -> Talk:
    match action:
        case Action.WARN:
            return words.warn
        case Action.JUSTIFY:
            return words.justify
        case _:
            return words.block


def _facts(words: Words, rule: Rule, segment: Segment | None, language: str) -> tuple[Fact, ...]:
    reference = clean(rule.reference, _REFERENCE)
    network = (segment.title.within(language) or segment.name) if segment else ""
    until = rule.schedule.until
    facts = (
        Fact(words.network, clean(network, _NAME)),
        Fact(words.rule, clean(rule.id, _NAME), code=True),
        Fact(words.reference, reference, href=safe_link(reference)),
        Fact(words.authority, clean(rule.authority, _NAME)),
        *([_moment(words, words.until, until)] if until else []),
    )
    return tuple(fact for fact in facts if fact.text)


def _moment(words: Words, label: str, at: datetime) -> Fact:
    return Fact(label, words.clock(at), machine=at.isoformat(timespec="seconds"))


def _extras(decision: Decision, rule: Rule, segment: Segment | None, data_exposed: DataExposed) -> Mapping[str, str]:
    found = {
        "action": str(decision.action),
        "service": decision.service.id if decision.service else "",
        "segment": segment.name if segment else "",
        "rule": clean(rule.id, _NAME),
        "reference": clean(rule.reference, _REFERENCE),
        "data_exposed": str(data_exposed),
    }
    return {key: value for key, value in found.items() if value}
