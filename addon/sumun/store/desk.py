"""What an administrator does about grants: the same outcome and the same events, on the console and by command.

Each method changes the store first and tells afterwards, so that no event speaks of what did not happen. A ``form`` is
given where a page was sent: it counts once, and raises Used the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sumun.model.grant import Change, Grant, GrantChanged, GrantKind, Justification, ReviewRequest
from sumun.store.store import Form, Store


class Desk:
    """May be used from any thread; every method may wait, and raises StoreFault."""

    def __init__(self, store: Store, tell: Callable[[GrantChanged], object]) -> None:
        """Take a store, and whom to tell what has changed."""
        self.store, self._tell = store, tell

    def give(self, grant: Grant, at: datetime, *, by: str) -> None:
        """Put an exemption in force."""
        self.store.give(grant, at)
        self._tell(GrantChanged.of(grant, Change.GIVEN, at, by=by))

    def revoke(self, id_: str, at: datetime, *, by: str, form: Form | None = None) -> Grant | None:
        """End what was granted, at once and everywhere; None: no such grant is in force."""
        grant = self.store.revoke(id_, at, form)
        if grant is not None:
            self._tell(GrantChanged.of(grant, Change.REVOKED, at, by=by))
        return grant

    def approve(
        self, id_: str, at: datetime, *, by: str, until: datetime | None = None, form: Form | None = None
    ) -> Grant | None:
        """Approve a justification: its time begins now. None: no such request waits."""
        grant = self.store.approve(id_, at, by=by, until=until, form=form)
        if grant is not None:
            self._tell(GrantChanged.of(grant, Change.GIVEN, at, by=by))
        return grant

    def deny(self, id_: str, at: datetime, *, by: str, form: Form | None = None) -> Justification | None:
        """Turn a justification down; None: no such request waits."""
        asked = self.store.deny(id_, at, by=by, form=form)
        if asked is not None:
            kind = GrantKind.JUSTIFICATION
            self._tell(GrantChanged.about(asked.subject, asked.id, kind, Change.DENIED, at, asked.reason, by=by))
        return asked

    def close_review(self, id_: str, at: datetime, *, by: str, form: Form | None = None) -> ReviewRequest | None:
        """Take a request for review off the list; None: no such request is open."""
        closed = self.store.close_review(id_, at, by=by, form=form)
        if closed is not None:
            self._tell(GrantChanged.about(closed.subject, closed.id, None, Change.CLOSED, at, by=by))
        return closed
