"""The last snapshot beside the other state: what holds while the store cannot be asked, even after a restart.

Rule 1: only what the store said is in it, and a grant ends in it when it ends; nothing is given by a copy.
Rule 2: a copy of another store, a damaged one, or one that somebody else could have written, grants nothing.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sumun.policy.grants import NOTHING_GRANTED, Grants
from sumun.store import rows
from sumun.store.store import Snapshot

log = logging.getLogger(__name__)

FILE_NAME = "last-grants.json"
MAX_OCTETS = 100_000_000
"""Far above what the most grants that may hold at once need."""
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Copy:
    """Where it is kept; made for one store."""

    store: str
    """URL of the store; only a digest of it is written."""
    read: Callable[[int], bytes | None]
    """The first so many octets of the file, all for -1; None where it is not, or cannot be trusted."""
    write: Callable[[bytes], object]
    """Puts a file in place, whole, for this user alone; raises OSError."""

    def keep(self, found: Snapshot) -> None:
        """In a thread: write it, unless another process of this host has; a disk that is full is no reason to stop."""
        head = self._head(found.version) + b"\n"
        if self.read(len(head)) == head:
            return
        lines = (json.dumps(rows.of_grant(grant, grant.until), ensure_ascii=False).encode() for grant in found.grants)
        try:
            self.write(head + b"\n".join(lines))
        except OSError as why:
            log.warning("keeping what is granted for a start without the store: %s", why.strerror or why)

    def grants(self, at: datetime) -> Grants:
        """What the store said last and still holds."""
        head, *lines = (self.read(-1) or b"").split(b"\n")
        try:
            said = json.loads(head or b"{}")
            if said.get("store") != self._digest or said.get("format") != _FORMAT:
                return NOTHING_GRANTED
            found = [rows.to_grant(json.loads(line)) for line in lines if line]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            log.warning("`%s` is damaged: nothing is granted until the store answers", FILE_NAME)
            return NOTHING_GRANTED
        return Grants(grant for grant in found if grant.until > at)

    def _head(self, version: int) -> bytes:
        return json.dumps({"format": _FORMAT, "store": self._digest, "version": version}).encode()

    @property
    def _digest(self) -> str:
        return sha256(self.store.encode()).hexdigest()
