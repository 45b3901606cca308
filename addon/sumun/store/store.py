"""What can be done with the store, each in one transaction: it happens whole, or a StoreFault says why it did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from sumun.model.grant import AskedState, Grant, GrantKind, Justification, ReviewRequest, Subject
from sumun.store import open as opening
from sumun.store import rows
from sumun.store.faults import Full, StoreFault, Used
from sumun.store.tables import about, grants, justifications, reviews, used_forms

DENIAL_SHOWN = timedelta(days=1)
"""How long a page says that a request was denied."""
_KEPT = timedelta(days=400)
"""How long what has ended stays on record."""
_SAME = ("kind", "segment", "rule", "service", "name", "client", "user")
"""What makes a grant the successor of another."""
_IN_FORCE, _LAPSED, _REVOKED, _REPLACED = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much there may be; what is more is refused."""

    in_force: int = 100_000
    """Grants that hold at once."""
    waiting: int = 10_000
    """Justifications that wait, and requests for review, each."""
    of_one_client: int = 20
    """The same, of one client."""
    held_by_client: int = 500
    """Grants that one client gave itself with forms."""


@dataclass(frozen=True, slots=True)
class Form:
    """What makes a form that was sent the only one of its kind."""

    nonce: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What decisions depend on, at one version of the store."""

    version: int
    grants: tuple[Grant, ...]
    answers: Mapping[Subject, bool]
    """Justifications that wait (True) or were denied lately (False)."""


class Store:
    """May be used from any thread; every method may wait, and raises StoreFault."""

    def __init__(self, engine: Engine, bounds: Bounds = Bounds()) -> None:
        """Take an engine; nothing is connected yet."""
        self._bounds = bounds
        self._engine = engine
        self._reading = engine.execution_options(writes=False)
        self._prepared = False

    @classmethod
    def at(cls, url: str, state: Path, bounds: Bounds = Bounds()) -> Store:
        """The store that the configuration names; raises StoreFault for a URL that cannot be one."""
        return cls(opening.engine_for(url, state), bounds)

    @property
    def kind(self) -> str:
        """``sqlite`` or ``postgresql``: a metric label."""
        return self._engine.dialect.name

    def close(self) -> None:
        """Let go of connections."""
        self._engine.dispose()

    # what the serving path reads

    def version(self) -> int:
        """A number that grows with every change of what decisions depend on."""
        with self._read() as connection:
            return _version(connection)

    def snapshot(self, at: datetime) -> Snapshot:
        """Everything that holds at this instant, and who waits."""
        now, lately = rows.instant(at), rows.instant(at - DENIAL_SHOWN)
        waits, denied = justifications.c.state == AskedState.PENDING, justifications.c.state == AskedState.DENIED
        with self._read() as connection:
            version = _version(connection)
            held = connection.execute(select(grants).where(_holds(now)).limit(self._bounds.in_force)).mappings().all()
            asked = connection.execute(
                select(justifications)
                .where(or_(waits, and_(denied, justifications.c.decided > lately)))
                .order_by(justifications.c.asked)
                .limit(2 * self._bounds.waiting)
            ).mappings()
            answers = {rows.to_subject(row): row["state"] == AskedState.PENDING for row in asked}
        return Snapshot(version, tuple(map(rows.to_grant, held)), answers)

    # what people do

    def give(self, grant: Grant, at: datetime, form: Form | None = None) -> None:
        """Put a grant in force; with a form that was not sent before, else raises Used.

        One that a form gives takes the place of what the same form gave before: a client cannot fill the store.
        """
        with self._change() as connection:
            _use(connection, form)
            if form is not None:
                self._replace(connection, grant, at)
            _bounded(connection, grants, _holds(rows.instant(at)), self._bounds.in_force, "grants are in force")
            connection.execute(insert(grants).values(rows.of_grant(grant, at)))

    def ask(self, asked: Justification, form: Form) -> None:
        """Queue a justification for its approver; raises Used, and Full where too many wait."""
        with self._change() as connection:
            _use(connection, form)
            waits = justifications.c.state == AskedState.PENDING
            self._bound(connection, justifications, waits, asked.subject, "requests wait for an approver")
            connection.execute(
                insert(justifications).values(
                    id=asked.id, **rows.of_subject(asked.subject), approver=asked.approver, reason=asked.reason,
                    purpose=asked.purpose, length=asked.length, asked=rows.instant(asked.asked), state=asked.state,
                )
            )  # fmt: skip

    def ask_review(self, review: ReviewRequest, form: Form) -> None:
        """Queue a request for review; raises Used, and Full where too many wait."""
        with self._change() as connection:
            _use(connection, form)
            self._bound(connection, reviews, reviews.c.closed.is_(None), review.subject, "reviews wait")
            connection.execute(
                insert(reviews).values(
                    id=review.id, **rows.of_subject(review.subject), incident=review.incident, text=review.text,
                    asked=rows.instant(review.asked),
                )
            )  # fmt: skip

    # what administrators do (``desk`` tells of it too); with a form that was sent before they raise Used

    def approve(
        self, id_: str, at: datetime, *, by: str, until: datetime | None = None, form: Form | None = None
    ) -> Grant | None:
        """Put a waiting justification in force; None: no such request waits."""
        with self._change() as connection:
            _use(connection, form)
            asked = self._settle(connection, id_, at, AskedState.APPROVED, by)
            if asked is None:
                return None
            grant = _approved(asked, by, at, until or at + timedelta(seconds=asked.length))
            connection.execute(insert(grants).values(rows.of_grant(grant, at)))
            return grant

    def deny(self, id_: str, at: datetime, *, by: str, form: Form | None = None) -> Justification | None:
        """Turn a waiting justification down; None: no such request waits."""
        with self._change() as connection:
            _use(connection, form)
            return self._settle(connection, id_, at, AskedState.DENIED, by)

    def revoke(self, id_: str, at: datetime, form: Form | None = None) -> Grant | None:
        """End a grant; None: no such grant is in force."""
        with self._change() as connection:
            _use(connection, form)
            return _end(connection, grants.c.id == id_, _holds(rows.instant(at)), _REVOKED)

    def close_review(self, id_: str, at: datetime, *, by: str, form: Form | None = None) -> ReviewRequest | None:
        """Take a request for review off the list; None: no such request is open."""
        with self._change() as connection:
            _use(connection, form)
            is_it = and_(reviews.c.id == id_, reviews.c.closed.is_(None))
            done = connection.execute(update(reviews).where(is_it).values(closed=rows.instant(at), closed_by=by))
            row = connection.execute(select(reviews).where(reviews.c.id == id_)).mappings().first()
            return rows.to_review(row) if row and done.rowcount else None

    # what administrators look at

    def grants(self, at: datetime, *, limit: int = 1000) -> list[Grant]:
        """What holds at this instant, the first to end first."""
        with self._read() as connection:
            found = select(grants).where(_holds(rows.instant(at))).order_by(grants.c.until, grants.c.id).limit(limit)
            return [rows.to_grant(row) for row in connection.execute(found).mappings()]

    def waiting(self, *, limit: int = 1000) -> list[Justification]:
        """Justifications that wait for an approver, the oldest first."""
        with self._read() as connection:
            waits = justifications.c.state == AskedState.PENDING
            found = select(justifications).where(waits).order_by(justifications.c.asked).limit(limit)
            return [rows.to_justification(row) for row in connection.execute(found).mappings()]

    def reviews(self, *, limit: int = 1000) -> list[ReviewRequest]:
        """Open requests for review, the oldest first."""
        with self._read() as connection:
            found = select(reviews).where(reviews.c.closed.is_(None)).order_by(reviews.c.asked).limit(limit)
            return [rows.to_review(row) for row in connection.execute(found).mappings()]

    # what time does

    def expire(self, at: datetime) -> list[Grant]:
        """Mark what has ended; each grant is returned once, to one of all processes."""
        lapsed = and_(grants.c.ended == _IN_FORCE, grants.c.until <= rows.instant(at))
        with self._read() as connection:
            ids = connection.scalars(select(grants.c.id).where(lapsed).limit(1000)).all()
        if not ids:
            return []
        with self._change() as connection:
            ended = (_end(connection, grants.c.id == id_, lapsed, _LAPSED) for id_ in ids)
            return [grant for grant in ended if grant]

    def tidy(self, at: datetime) -> None:
        """Forget forms that are too old to be sent, and what ended more than a year ago."""
        old, now = rows.instant(at - _KEPT), rows.instant(at)
        with self._write() as connection:
            connection.execute(delete(used_forms).where(used_forms.c.expires < now))
            connection.execute(delete(grants).where(grants.c.ended != _IN_FORCE, grants.c.until < old))
            connection.execute(delete(justifications).where(justifications.c.decided < old))
            connection.execute(delete(reviews).where(reviews.c.closed < old))

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        self._prepare()
        with opening.guarded(self._engine), self._reading.begin() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        self._prepare()
        with opening.guarded(self._engine), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _change(self) -> Iterator[Connection]:
        """A write that decisions depend on: everybody who asks for the version learns of it."""
        with self._write() as connection:
            # first, so that writers wait for each other here and versions become visible in their order
            connection.execute(update(about).where(about.c.key == "version").values(value=about.c.value + 1))
            yield connection

    def _prepare(self) -> None:
        if not self._prepared:
            opening.prepare(self._engine)
            self._prepared = True

    def _replace(self, connection: Connection, grant: Grant, at: datetime) -> None:
        row, holds = rows.of_grant(grant, at), _holds(rows.instant(at))
        same = and_(*(grants.c[name] == row[name] for name in _SAME))
        connection.execute(update(grants).where(same, holds).values(ended=_REPLACED))
        theirs = and_(holds, grants.c.client == row["client"], grants.c.user == row["user"])
        _bounded(connection, grants, theirs, self._bounds.held_by_client, "grants are held by one client")

    def _bound(
        self, connection: Connection, table: Table, waits: ColumnElement[bool], subject: Subject, what: str
    ) -> None:
        _bounded(connection, table, waits, self._bounds.waiting, what)
        theirs = and_(
            waits, or_(table.c.client == str(subject.client), and_(table.c.user == subject.user, table.c.user != ""))
        )
        _bounded(connection, table, theirs, self._bounds.of_one_client, f"{what}, all from one client")

    def _settle(
        self, connection: Connection, id_: str, at: datetime, state: AskedState, by: str
    ) -> Justification | None:
        is_it = and_(justifications.c.id == id_, justifications.c.state == AskedState.PENDING)
        values = {"state": state, "decided": rows.instant(at), "decided_by": by}
        if not connection.execute(update(justifications).where(is_it).values(values)).rowcount:
            return None
        found = connection.execute(select(justifications).where(justifications.c.id == id_)).mappings().one()
        return rows.to_justification(found)


def _version(connection: Connection) -> int:
    found = connection.scalar(select(about.c.value).where(about.c.key == "version"))
    if found is None:
        raise StoreFault("the store has lost its version: restore it from a backup, or remove it")
    return int(found)


def _holds(now: int) -> ColumnElement[bool]:
    return and_(grants.c.ended == _IN_FORCE, grants.c.until > now)


def _use(connection: Connection, form: Form | None) -> None:
    """Use a form up; what is not done with a form needs none."""
    if form is None:
        return
    try:
        with connection.begin_nested():
            connection.execute(insert(used_forms).values(nonce=form.nonce, expires=rows.instant(form.expires)))
    except IntegrityError:
        raise Used from None


def _bounded(connection: Connection, table: Table, which: ColumnElement[bool], most: int, what: str) -> None:
    if (connection.scalar(select(func.count()).select_from(table).where(which)) or 0) >= most:
        raise Full(f"{most:,} {what}: settle some of them first")


def _end(connection: Connection, which: ColumnElement[bool], holds: ColumnElement[bool], how: int) -> Grant | None:
    """End one grant, if no other process was faster."""
    if not connection.execute(update(grants).where(which, holds).values(ended=how)).rowcount:
        return None
    return rows.to_grant(connection.execute(select(grants).where(which)).mappings().one())


def _approved(asked: Justification, by: str, at: datetime, until: datetime) -> Grant:
    subject = asked.subject
    return passing(
        GrantKind.JUSTIFICATION, subject, asked.id, at, until,
        reason=asked.reason, purpose=asked.purpose, approver=by,
    )  # fmt: skip


def passing(  # noqa: PLR0913 - a grant says all of this
    kind: GrantKind,
    subject: Subject,
    id_: str,
    at: datetime,
    until: datetime,
    *,
    reason: str = "",
    purpose: str = "",
    approver: str = "",
) -> Grant:
    """What lets this subject pass until a time."""
    return Grant(
        id_, kind, until, subject.service, subject.name,
        None if subject.user else ip_network(str(subject.client)), subject.user or None, subject.segment,
        subject.rule, reason, purpose, approver, at,
    )  # fmt: skip


__all__ = ["Bounds", "Form", "Full", "Snapshot", "Store", "StoreFault", "Used", "passing"]
