"""What a form carries: what it is for, signed, and worth nothing to anybody but the client that it was made for.

The signature covers the client's address, which the form does not carry: another client's form, or another site's,
is no form. Single use is the store's affair.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from operator import attrgetter

from sumun.pages.offer import Ask

LIFETIME = timedelta(hours=1)
"""How long a form may lie on the screen."""
MAX_URL = 4096
"""Characters of the address to continue at; a longer one continues at the root of the site."""
_MAX_TICKET = 12_000
_CONTEXT = b"sumun form 1\0"


class NoTicket(ValueError):
    """Forged, damaged, too old, or made for another client."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What was signed."""

    ask: Ask
    segment: str
    rule: str
    service: str
    name: str
    """Host name or address, for a destination of no service."""
    host: str
    """Host that the form was shown by, and that it must come back to."""
    url: str
    """Path and query to continue at."""
    incident: str
    length: int
    """Seconds for which it is remembered."""
    approver: str
    nonce: str
    expires: int
    """Seconds since 1970."""

    @property
    def expiry(self) -> datetime:
        """When the form is too old."""
        return datetime.fromtimestamp(self.expires, UTC)


_values = attrgetter(*(field.name for field in fields(Ticket)))
"""Every field in order; ``asdict`` copies each."""


def seal(ticket: Ticket, key: bytes, client: str) -> str:
    """Sign for one client."""
    payload = urlsafe_b64encode(json.dumps(_values(ticket), ensure_ascii=False).encode())
    return f"{payload.decode()}.{_signature(payload, key, client)}"


def unseal(text: str, key: bytes, client: str, at: datetime) -> Ticket:
    """Check and read; raises NoTicket."""
    payload, _, signature = text[:_MAX_TICKET].encode("utf-8", "replace").rpartition(b".")
    if not hmac.compare_digest(signature, _signature(payload, key, client).encode()):
        raise NoTicket
    try:
        ask, *rest = json.loads(urlsafe_b64decode(payload))
        ticket = Ticket(Ask(ask), *rest)
    except (NotBase64, ValueError, TypeError):  # signed by us, in another version
        raise NoTicket from None
    if at >= ticket.expiry:
        raise NoTicket
    return ticket


def _signature(payload: bytes, key: bytes, client: str) -> str:
    signed = hmac.digest(key, _CONTEXT + client.encode() + b"\0" + payload, "sha256")
    return urlsafe_b64encode(signed).decode()
