"""What the console gives into a browser's hands and takes back: signed, for one purpose, one client and a time.

There is no session: whoever connects is known by address alone. What is sealed cannot be read by another site, cannot
be made by anybody else, and a seal of the users' pages is none of the console's, though both have one key.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from hashlib import sha256

_CONTEXT = b"sumun console 1\0"
_MAX = 8_000
"""Octets of what is read."""


class Broken(ValueError):
    """Forged, damaged, too old, or made for another purpose or client."""


class Seals:
    """Signs and checks."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.new(key, _CONTEXT, sha256).digest()

    def seal(self, purpose: str, client: str, until: datetime, *texts: str) -> str:
        """What only ``unseal`` with the same purpose and client reads, before ``until``."""
        payload = urlsafe_b64encode(json.dumps([until.timestamp(), *texts], ensure_ascii=False).encode())
        return f"{payload.decode()}.{self._signature(payload, purpose, client)}"

    def unseal(self, text: str, purpose: str, client: str, at: datetime) -> tuple[str, ...]:
        """The texts; raises Broken."""
        payload, _, signature = text[:_MAX].encode("utf-8", "replace").rpartition(b".")
        if not hmac.compare_digest(signature, self._signature(payload, purpose, client).encode()):
            raise Broken
        until, *texts = json.loads(urlsafe_b64decode(payload))  # signed by us: it is what we wrote
        if at.timestamp() >= until:
            raise Broken
        return tuple(texts)

    def _signature(self, payload: bytes, purpose: str, client: str) -> str:
        signed = b"\0".join((purpose.encode(), client.encode(), payload))
        return urlsafe_b64encode(hmac.new(self._key, signed, sha256).digest()).decode()
