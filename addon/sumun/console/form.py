"""A form that was sent to the console: hostile until it is read here.

Rule 1: it counts from this host only, because the console has no login.
Rule 2: it counts from the page's own origin only, for the address that it was shown to, once and within its hour.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import ClientDisconnect, Request

from sumun.console.sealed import Broken, Seals
from sumun.model.name import plain
from sumun.store.store import Form

LIFETIME = timedelta(hours=1)
"""How long a form may lie on the screen."""
LIMIT = 64 * 1024
"""Octets of a form."""
_FIELDS = 200
_PURPOSE = "form"
_TYPE = "application/x-www-form-urlencoded"


class Trouble(Enum):
    """Why nothing was changed: status, heading, what to know."""

    NOT_HERE = (403, "Not from here", "This page is shown on the filter's own host only. A way in from yours:")
    CROSS_SITE = (403, "From another website", "Only the console's own page can change something.")
    INVALID = (403, "No longer valid", "The form is too old, was changed, or was made for somebody else.")
    USED = (409, "Sent before", "Each form counts once, and what it asked for has been done.")
    GONE = (409, "Settled already", "Nothing with this id is there any more: somebody was faster, or its time is over.")
    NO_NAME = (422, "Who are you?", "Give your name in 2 to 120 characters, on one line.")
    NO_TIME = (422, "Until when?", "This cannot be read as an end.")
    TOO_LARGE = (413, "Too long", "The form is longer than it can be.")
    UNAVAILABLE = (503, "The store cannot be reached", "What was granted before holds until its end.")


class Refused(Exception):
    """Nothing was done."""

    def __init__(self, trouble: Trouble, detail: str = "") -> None:
        super().__init__(trouble)
        self.trouble, self.detail = trouble, detail


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that counts, if it was not sent before."""

    fields: Mapping[str, str]
    form: Form


def ticket(seals: Seals, client: str, at: datetime) -> str:
    """What makes a form one of ours; a hidden field named ``ticket``."""
    return seals.seal(_PURPOSE, client, at + LIFETIME, secrets.token_urlsafe(16))


def local_client(request: Request) -> str:
    """The address of a client on this host; raises Refused for any other."""
    address = plain(ip_address(request.client.host)) if request.client else None
    if address is None or not address.is_loopback:
        host, port = request.scope.get("server") or ("127.0.0.1", 8090)
        raise Refused(Trouble.NOT_HERE, f"ssh -L 8090:{host}:{port} HOST")
    return str(address)


async def read(request: Request, seals: Seals, client: str, at: datetime) -> Sent:
    """Check everything that makes a form one of ours; raises Refused."""
    if not from_this_origin(request.headers):
        raise Refused(Trouble.CROSS_SITE)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise Refused(Trouble.INVALID)
    fields = _fields(await _body(request))
    try:
        (nonce,) = seals.unseal(fields.get("ticket", ""), _PURPOSE, client, at)
    except Broken:
        raise Refused(Trouble.INVALID) from None
    return Sent(fields, Form(nonce, at + LIFETIME))


def from_this_origin(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that its own page, shown under this very host and port, sent the form.

    The scheme is not compared: a proxy with a login and TLS may stand in front.
    """
    site = headers.get("sec-fetch-site", "same-origin")
    try:
        origin = urlsplit(headers.get("origin", ""))
    except ValueError:
        return False
    ours = origin.scheme in ("http", "https") and origin.netloc.lower() == headers.get("host", "").lower()
    return site == "same-origin" and ours and bool(origin.netloc)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LIMIT:
                raise Refused(Trouble.TOO_LARGE)
    except ClientDisconnect:
        raise Refused(Trouble.INVALID) from None
    return bytes(body)


def _fields(body: bytes) -> dict[str, str]:
    """The first of equal fields counts."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=_FIELDS)
    except ValueError:
        raise Refused(Trouble.INVALID) from None
    return dict(reversed(pairs))
