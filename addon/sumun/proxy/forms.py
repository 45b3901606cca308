"""The filter's own address on every origin that it stops: offers forms, and takes them when they are sent.

Rule 1: nothing under the reserved path ever reaches an origin.
Rule 2: a form counts for the client that it was made for, once, within its time, and only from its own site.
Rule 3: the store and the log may wait, so they are used in threads; the answer waits for both.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from mitmproxy import ctx, http

from sumun.model.decision import Decision
from sumun.model.grant import Change, GrantChanged, GrantKind, Justification, ReviewRequest, Subject
from sumun.model.name import DomainName, IPAddress, plain
from sumun.model.organisation import Organisation
from sumun.model.request import AccessRequest
from sumun.model.rule import Action
from sumun.model.segment import Segment
from sumun.pages import said
from sumun.pages.asked import Asked, Page
from sumun.pages.offer import RESERVED, Answer, Ask, Offer, Result
from sumun.pages.render import render_result
from sumun.pages.said import BadText, Said
from sumun.pages.ticket import LIFETIME, MAX_URL, NoTicket, Ticket, seal, unseal
from sumun.policy.grants import destination
from sumun.proxy import enforce, translate
from sumun.proxy.bounds import BoundedBuffer, bound_body
from sumun.proxy.telling import Teller
from sumun.proxy.translate import Flow
from sumun.store.faults import Full, StoreFault, Used
from sumun.store.store import Form, passing
from sumun.store.watch import Watch
from sumun.telemetry.grant_log import REVIEW
from sumun.telemetry.incident import new_id

logger = logging.getLogger(__name__)

DEFAULT_TTL = timedelta(hours=8)
"""How long a warning or a justification is remembered where the rule has no ``ttl``: a working day."""
LIMIT = 32 * 1024
"""Octets of a form: a reason of 1,000 characters that take nine octets each, and a ticket."""
_SECOND, _REFUSALS = timedelta(seconds=1), 20
"""Refused forms that are logged within a second, by one process."""
_BUFFER = "sumun.form"
_ASKS = {Action.WARN: Ask.ACKNOWLEDGE, Action.JUSTIFY: Ask.JUSTIFY, Action.BLOCK: Ask.REVIEW}
_ANSWERS = {True: Answer.PENDING, False: Answer.DENIED, None: Answer.NONE}
_TYPE = "application/x-www-form-urlencoded"


class ResultPages(Protocol):
    """Shows what came of a form."""

    def __call__(
        self,
        asked: Asked,
        *,
        kind: Result,
        back: str,
        organisation: Organisation,
        incident: str,
        at: datetime,
        segment: Segment | None,
    ) -> Page:
        """Make the answer; all of ``asked`` is hostile text."""
        ...


class Refused(Exception):
    """A form that does not count."""

    def __init__(self, result: Result, back: str = "") -> None:
        super().__init__(result)
        self.result, self.back = result, back


@dataclass(frozen=True, slots=True)
class Book:
    """Where forms are kept once they are sent."""

    key: bytes
    """What forms are signed with."""
    watch: Watch
    tell: Callable[[GrantChanged], object]
    """The log; called in a thread."""
    settle: float = 0.0
    """Seconds until every other worker knows what was granted."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A form that was sent, while it is dealt with."""

    client: IPAddress
    user: str
    ticket: Ticket
    said: Said
    at: datetime

    @property
    def subject(self) -> Subject:
        ticket = self.ticket
        return Subject(self.client, ticket.segment, ticket.rule, ticket.service, ticket.name, self.user)

    @property
    def form(self) -> Form:
        return Form(self.ticket.nonce, self.ticket.expiry)


class Forms:
    """Makes offers for the http point, and is an addon that answers under the reserved path."""

    def __init__(
        self,
        *,
        book: Book,
        teller: Teller,
        organisation: Callable[[], Organisation],
        pages: ResultPages = render_result,
    ) -> None:
        self._book, self._teller, self._organisation, self._pages = book, teller, organisation, pages
        self._watch, self._tell = book.watch, book.tell
        self._refusals = (datetime.min.replace(tzinfo=UTC), 0)
        """When the current second began, and the refusals in it."""

    def takes(self, flow: Flow) -> bool:
        """Whether this request is ours, whatever its host."""
        return flow.request.path.startswith(RESERVED)

    def offer(
        self, flow: Flow, request: AccessRequest, decision: Decision, incident: str, at: datetime
    ) -> Offer | None:
        """The form for this page; None where there is nothing to ask for."""
        ask = _ASKS.get(decision.action)
        if ask is None:
            return None
        subject = subject_of(request, decision)
        rule = decision.rule
        length = (rule.ttl if rule else None) or DEFAULT_TTL
        repeats = flow.request.method in ("GET", "HEAD")
        approver = rule.approver if rule and ask is Ask.JUSTIFY else ""
        ticket = Ticket(
            ask, subject.segment, subject.rule, subject.service, subject.name, _host(flow), _way_on(flow, repeats),
            incident, int(length.total_seconds()), approver, secrets.token_urlsafe(16),
            int((at + LIFETIME).timestamp()),
        )  # fmt: skip
        return Offer(
            ask,
            seal(ticket, self._book.key, _holder(subject.client, subject.user)),
            timedelta() if ask is Ask.REVIEW else length,
            approver,
            _ANSWERS[self._teller.policy().grants.answer(subject)] if ask is Ask.JUSTIFY else Answer.NONE,
            repeats,
            self._watch.is_available,
        )

    # hooks

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Bound the body before it is read."""
        if self.takes(flow) and not flow.response:
            handler = ctx.master.addons.get("proxyserver").connections.get(flow.client_conn.id)
            flow.metadata[_BUFFER] = bound_body(handler, flow, LIMIT)

    async def request(self, flow: http.HTTPFlow) -> None:
        """Answer; whatever fails, nothing is passed on."""
        if not self.takes(flow) or flow.response:
            return
        try:
            flow.response = await self._answer(flow)
        except Exception:
            logger.exception("answering a form failed")
            enforce.bare(flow, 500, "the filter failed: nothing was recorded")

    async def _answer(self, flow: http.HTTPFlow) -> http.Response:
        client, at = plain(translate.client_address(flow)), self._teller.clock()
        segment = self._teller.policy().segment_of(client)
        if segment is None or translate.authorities(flow).problem:
            return http.Response.make(403, b"refused\n", {"content-type": "text/plain", "cache-control": "no-store"})
        incident = ""
        try:
            sent = self._sent(flow, client, at)
            incident = sent.ticket.incident
            return await self._take(flow, sent)
        except Refused as refused:
            if refused.result is not Result.NOT_FOUND:
                await self._tell_refusal(GrantChanged(
                    at, Change.REFUSED, new_id(at), None, segment.name, client=str(client), name=_host(flow),
                    reason=str(refused.result), incident=incident,
                ))  # fmt: skip
            return self._page(flow, refused.result, incident, at, refused.back)

    async def _tell_refusal(self, change: GrantChanged) -> None:
        """Log it, unless many came within the same second: those are only counted, so that nobody fills the disk."""
        second, count = self._refusals
        self._refusals = (second, count + 1) if change.at - second < _SECOND else (change.at, 1)
        if self._refusals[1] <= _REFUSALS:
            await asyncio.to_thread(self._tell, change)
        else:
            self._teller.metrics.grant_changes.labels(REVIEW, change.change).inc()

    def _sent(self, flow: http.HTTPFlow, client: IPAddress, at: datetime) -> _Sent:
        """Check everything that makes a form one of ours; raises Refused."""
        request = flow.request
        ask = request.path.removeprefix(RESERVED)
        if request.method != "POST" or ask not in set(Ask):
            raise Refused(Result.NOT_FOUND)
        if not same_site(request):
            raise Refused(Result.CROSS_SITE)
        buffer = flow.metadata.get(_BUFFER)
        body = request.raw_content or b""
        if (isinstance(buffer, BoundedBuffer) and buffer.overflowed) or len(body) > LIMIT:
            raise Refused(Result.TOO_LARGE)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
            raise Refused(Result.INVALID)
        fields = said.read_form(body)
        who = translate.user(flow)
        user = who.name if who else ""
        try:
            ticket = unseal(fields.ticket, self._book.key, _holder(client, user), at)
        except NoTicket:
            raise Refused(Result.INVALID) from None
        if ticket.ask != ask or ticket.host != _host(flow):
            raise Refused(Result.INVALID)
        return _Sent(client, user, ticket, fields, at)

    async def _take(self, flow: http.HTTPFlow, sent: _Sent) -> http.Response:
        try:
            await asyncio.to_thread(self._record, sent)
        except BadText:
            raise Refused(Result.BAD_TEXT) from None
        except Used:
            raise Refused(Result.USED, sent.ticket.url) from None
        except Full:
            raise Refused(Result.FULL, sent.ticket.url) from None
        except StoreFault as fault:
            logger.error("a form could not be recorded: %s", fault)  # noqa: TRY400  # the fault says it all
            raise Refused(Result.UNAVAILABLE, sent.ticket.url) from None
        if sent.ticket.ask is Ask.REVIEW:
            return self._page(flow, Result.REVIEW_ASKED, sent.ticket.incident, sent.at, sent.ticket.url)
        await self._watch.look()
        await asyncio.sleep(self._book.settle)
        return see_other(own_origin(flow.request) + sent.ticket.url)

    def _record(self, sent: _Sent) -> None:
        """In a thread: put it into the store, and tell."""
        ticket, subject, at, store = sent.ticket, sent.subject, sent.at, self._watch.store
        id_, length = new_id(at), timedelta(seconds=ticket.length)
        if ticket.ask is Ask.ACKNOWLEDGE:
            grant = passing(GrantKind.ACKNOWLEDGEMENT, subject, id_, at, at + length)
            store.give(grant, at, sent.form)
            self._tell(GrantChanged.of(grant, Change.GIVEN, at, incident=ticket.incident))
        elif ticket.ask is Ask.REVIEW:
            review = ReviewRequest(id_, subject, ticket.incident, said.reason(sent.said.reason), at)
            store.ask_review(review, sent.form)
            self._tell(GrantChanged.about(subject, id_, None, Change.ASKED, at, review.text, incident=ticket.incident))
        else:
            self._record_justification(sent, id_, at, length)

    def _record_justification(self, sent: _Sent, id_: str, at: datetime, length: timedelta) -> None:
        ticket, subject, store = sent.ticket, sent.subject, self._watch.store
        purpose, reason = said.purpose(sent.said.purpose), said.reason(sent.said.reason)
        if ticket.approver:
            store.ask(
                Justification(id_, subject, ticket.approver, reason, purpose, ticket.length, at), sent.form
            )  # fmt: skip
            kind = GrantKind.JUSTIFICATION
            self._tell(GrantChanged.about(subject, id_, kind, Change.ASKED, at, reason, purpose, ticket.incident))
            return
        grant = passing(
            GrantKind.JUSTIFICATION, subject, id_, at, at + length, reason=reason, purpose=purpose
        )  # fmt: skip
        store.give(grant, at, sent.form)
        self._tell(GrantChanged.of(grant, Change.GIVEN, at, incident=ticket.incident))

    def _page(self, flow: http.HTTPFlow, kind: Result, incident: str, at: datetime, back: str) -> http.Response:
        page = self._pages(
            translate.asked(flow), kind=kind, back=back, organisation=self._organisation(), incident=incident, at=at,
            segment=self._teller.policy().segment_of(plain(translate.client_address(flow))),
        )  # fmt: skip
        return enforce.response(page)


def subject_of(request: AccessRequest, decision: Decision) -> Subject:
    """Whom and what a decision that stops somebody is about."""
    service = decision.service.id if decision.service else ""
    rule = decision.rule.id if decision.rule else ""
    return Subject(
        plain(request.client), decision.segment, rule, service, "" if service else destination(request),
        request.user if isinstance(request.user, str) else "",
    )  # fmt: skip


def _holder(client: IPAddress, user: str) -> str:
    """Whom a form is for; a user's name has no line break."""
    return f"{client}\n{user}" if user else str(client)


def same_site(request: http.Request) -> bool:
    """Whether the form can be from the page of ours that was shown on this very origin.

    Browsers say ``Sec-Fetch-Site`` to secure origins only. Our pages send no referrer, so an ``Origin`` of theirs is
    ``null`` (Fetch, 3.1): that proves nothing, and the ticket, which no other site can read, has to.
    """
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin", "null")
    return site == "same-origin" and origin.lower() in ("null", own_origin(request).lower())


def own_origin(request: http.Request) -> str:
    """Scheme and host as the client wrote them; only for requests whose authorities agree."""
    return f"{request.scheme}://{request.host_header or request.pretty_host}"


def see_other(location: str) -> http.Response:
    """Go on with GET (RFC 9110, 15.4.4); nothing that was sent is ever sent again."""
    fields = {"location": location, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return http.Response.make(303, b"", fields)


def _host(flow: Flow) -> str:
    hosts = translate.authorities(flow).hosts
    names: list[Any] = [host for host in hosts if isinstance(host, DomainName)]
    return str((names or list(hosts) or [""])[0])


def _way_on(flow: Flow, repeats: bool) -> str:
    """Path and query in printable ASCII; a path that begins with two slashes would be another host's."""
    path = flow.request.path
    if not repeats or len(path) > MAX_URL or not path.startswith("/") or path.startswith(RESERVED):
        return "/"
    if path.startswith(("//", "/\\")):
        path = "/." + path
    path = "".join(c if "!" <= c <= "~" and c != "\\" else _encoded(c) for c in path)
    return path if len(path) <= MAX_URL else "/"


def _encoded(character: str) -> str:
    return "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "surrogateescape"))
