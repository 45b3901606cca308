"""Asking at the gate: whose tunnel is this to be?"""

from __future__ import annotations

import asyncio

from sumun.model.decision import Undetermined
from sumun.model.request import Facet
from sumun.model.segment import Authenticate
from sumun.model.user import Identity
from sumun.model.verdict import Verdict
from sumun.proxy.authentication import Asked, Authentication, Unsettled, Who
from sumun.proxy.caller import Caller
from sumun.proxy.credentials import SIGNED_IN, WRONG, Said, fields_of, said, socks_credentials
from sumun.proxy.opening import Unreadable
from sumun.proxy.ruling import GateRuling
from sumun.proxy.short_answers import plain
from sumun.proxy.socks import CHOSEN, NAME_AND_PASSWORD, NO_METHOD, Greeting

_NAMING_TIME = 15.0
"""Seconds a SOCKS client has to send name and password."""


class Parting(Unreadable):
    """The conversation ends, with these last words."""

    def __init__(self, verdict: Verdict, last_word: bytes) -> None:
        super().__init__(verdict)
        self.verdict, self.last_word = verdict, last_word


async def ask_connect(asking: Authentication, caller: Caller, size: int, *, parent: bool) -> Who:
    """Whose CONNECT this is, out of the octets of its head; raises Parting."""
    if caller.asked:  # its certificate has said it
        return caller.who
    message = said(fields_of(caller.said(size)), asking.header)
    try:
        who = await asyncio.create_task(asking.identify(caller.client, message, parent=parent))
    except Asked:
        raise Parting(Verdict.REFUSED, _challenge(asking)) from None
    except Unsettled:
        why = "users cannot be checked now: try again in a moment"
        raise Parting(Verdict.CLOSED, plain(503, "Service Unavailable", why)) from None
    caller.asked = True
    return who


async def ask_socks(asking: Authentication, caller: Caller, offered: Greeting) -> Identity | None:
    """The same of SOCKS, with the answer to its greeting; who offers no name is nobody, where nobody will do."""
    if caller.asked:
        caller.say(CHOSEN if offered.anonymous else NO_METHOD)
        return caller.who
    mode = asking.mode(caller.client)
    if not offered.named or mode is Authenticate.NONE:
        if mode is Authenticate.REQUIRED or not offered.anonymous:
            raise Parting(Verdict.CLOSED, NO_METHOD)
        caller.say(CHOSEN)
        return None
    caller.say(NAME_AND_PASSWORD)
    credentials, size = await caller.read(socks_credentials, within=_NAMING_TIME)
    caller.forget(size)
    unnamed = mode is Authenticate.OPTIONAL and not credentials.name
    try:
        message = Said(None if unnamed else credentials)
        who = await asyncio.create_task(asking.identify(caller.client, message, parent=False))
    except (Asked, Unsettled):
        raise Parting(Verdict.REFUSED, WRONG) from None
    caller.asked = True
    caller.say(SIGNED_IN)
    return who if isinstance(who, Identity) else None


def ask_if_it_matters(asking: Authentication, caller: Caller, ruling: GateRuling) -> None:
    """Ask whom nobody knows yet, where a rule depends on it; raises Parting."""
    outcome = ruling.ruling.outcome
    if isinstance(outcome, Undetermined) and Facet.USER in outcome.needs:
        asking.count(caller.client, "asked")
        raise Parting(Verdict.REFUSED, _challenge(asking))


def is_nameless(asking: Authentication, caller: Caller) -> bool:
    """Whether a name is required where nobody could be asked for one: a client that is not configured to use us."""
    return not caller.asked and asking.mode(caller.client) is Authenticate.REQUIRED


def _challenge(asking: Authentication) -> bytes:
    why = "say who you are: this proxy asks for a user's name and password"
    field = f"Proxy-Authenticate: {asking.challenge}\r\n"
    return plain(407, "Proxy Authentication Required", why, field)
