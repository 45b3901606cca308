"""Who waits, who asks for a review, who is let through; and the buttons that settle it.

What is done here has the same outcome and the same events as ``sumun exempt`` (``store.desk``). What people wrote is
shown to browsers of this host alone, and is text wherever it stands.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sumun.config.fault import Unreadable
from sumun.config.moments import until as read_until
from sumun.console import form
from sumun.console.form import LIFETIME, Refused, Sent, Trouble
from sumun.console.html import page
from sumun.console.sealed import Broken, Seals
from sumun.console.view import LoadedView
from sumun.model.grant import Grant, Subject
from sumun.pages.said import MAX_NAME, BadText
from sumun.pages.said import name as read_name
from sumun.pages.words import LANGUAGES
from sumun.store.desk import Desk
from sumun.store.faults import StoreFault, Used

log = logging.getLogger(__name__)

PATH = "/grants"
_WAITING, _HELD = 100, 500
"""Rows of a page; a command lists the rest."""
_ALL = 10_000
_DONE = "done"
_ID = re.compile("[0-9A-Z-]{1,40}")


class GrantsPage:
    """Shows the lists, and takes what is decided."""

    def __init__(
        self, *, desk: Desk, key: bytes, loaded: Callable[[], LoadedView], clock: Callable[[], datetime]
    ) -> None:
        """Take the desk; ``key`` is what forms are signed with."""
        self._desk, self._seals, self._loaded, self._clock = desk, Seals(key), loaded, clock

    def routes(self) -> list[Route]:
        """For the application."""
        return [Route(PATH, _guarded(self._show)), Route(PATH, _guarded(self._take), methods=["POST"])]

    # looking

    async def _show(self, request: Request) -> Response:
        client, at, view = form.local_client(request), self._clock(), self._loaded()
        store = self._desk.store
        waiting, reviews, held = await asyncio.to_thread(
            lambda: (store.waiting(limit=_ALL), store.reviews(limit=_ALL), store.grants(at, limit=_ALL))
        )
        done, by = self._said_before(request.query_params.get(_DONE, ""), client, at)
        configured = [Grant.of(each) for each in view.exemptions if each.until > at]
        values = {
            "at": at, "local": lambda moment: _local(moment, view.zone), "who": who, "length": _length,
            "done": done, "by": by, "most": MAX_NAME, "ticket": form.ticket(self._seals, client, at),
            "waiting": waiting[:_WAITING], "waiting_in_all": len(waiting),
            "reviews": reviews[:_WAITING], "reviews_in_all": len(reviews),
            "held": [*((grant, False) for grant in held[:_HELD]), *((grant, True) for grant in configured)],
            "held_in_all": len(held) + len(configured),
        }  # fmt: skip
        return page("grants.html.j2", area=PATH, values=values)

    def _said_before(self, sealed: str, client: str, at: datetime) -> tuple[str, str]:
        """What the form before this page did, and who sent it: our own words, or nothing."""
        try:
            done, by = self._seals.unseal(sealed, _DONE, client, at)
        except Broken:
            return "", ""
        return done, by

    # deciding

    async def _take(self, request: Request) -> Response:
        client, at = form.local_client(request), self._clock()
        sent = await form.read(request, self._seals, client, at)
        try:
            by = read_name(sent.fields.get("by", ""))
            done = await asyncio.to_thread(self._do, sent, by, at)
        except BadText:
            raise Refused(Trouble.NO_NAME) from None
        except Unreadable as why:
            raise Refused(Trouble.NO_TIME, str(why)) from None
        except Used:
            raise Refused(Trouble.USED) from None
        if not done:
            raise Refused(Trouble.GONE)
        said = self._seals.seal(_DONE, client, at + LIFETIME, done, by)
        return RedirectResponse(f"{PATH}?{urlencode({_DONE: said})}", 303)

    def _do(self, sent: Sent, by: str, at: datetime) -> str:
        """In a thread: change the store, and tell; returns what was done, empty where there was nothing to do."""
        desk, zone, used = self._desk, self._loaded().zone, sent.form
        verb, _, id_ = sent.fields.get("do", "").partition(" ")
        if not _ID.fullmatch(id_):
            return ""
        end = sent.fields.get(f"until {id_}", "").strip()
        match verb:
            case "approve":
                until = read_until(end, zone, at) if end else None
                grant = desk.approve(id_, at, by=by, until=until, form=used)
                end = _local(grant.until, zone) if grant else ""
                return f"Approved: {who(grant)} may use {_what(grant)} until {end}." if grant else ""
            case "deny":
                asked = desk.deny(id_, at, by=by, form=used)
                return f"Turned down: {asked.subject.client}, {_what(asked.subject)}." if asked else ""
            case "revoke":
                grant = desk.revoke(id_, at, by=by, form=used)
                return f"Revoked: {who(grant)} may no longer use {_what(grant)}." if grant else ""
            case "close":
                review = desk.close_review(id_, at, by=by, form=used)
                return f"Closed: the request of {review.subject.client} for a review." if review else ""
        return ""


def who(grant: Grant) -> str:
    """The client, or the user."""
    if grant.client is None:
        return f"user {grant.user}"
    return str(grant.client.network_address if grant.client.num_addresses == 1 else grant.client)


def _what(about: Grant | Subject) -> str:
    return about.service or about.name


def _local(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%a %Y-%m-%d %H:%M %Z")


def _length(seconds: int) -> str:
    return LANGUAGES["en"].length(timedelta(seconds=seconds))


def _guarded(answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The same, with a page that says why where nothing can be shown or was changed."""

    async def guarded(request: Request) -> Response:
        try:
            return await answer(request)
        except Refused as refused:
            log.info("a request to `%s` was refused: %s", PATH, refused.trouble.name)
            return _notice(refused.trouble, refused.detail)
        except StoreFault as fault:
            log.error("grants on the console: %s", fault)  # noqa: TRY400  # the fault says it all
            return _notice(Trouble.UNAVAILABLE, "")

    return guarded


def _notice(trouble: Trouble, detail: str) -> Response:
    status, heading, text = trouble.value
    if trouble is not Trouble.NOT_HERE:
        text = f"Nothing was changed. {text}"
    return page("notice.html.j2", area=PATH, status=status, values={"heading": heading, "text": text, "detail": detail})
