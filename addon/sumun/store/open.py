"""A URL to a store: SQLite beside the other state, or PostgreSQL for several hosts."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, insert, select
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from sumun.store.faults import StoreFault
from sumun.store.tables import SCHEMA, about, metadata

PATIENCE = 3
"""Seconds to wait for another process's write, for a connection, and for a statement."""
_POSTGRESQL = "postgresql+psycopg"


def engine_for(url: str, state: Path) -> Engine:
    """Make an engine without connecting; an empty URL is SQLite in the state folder. Raises StoreFault."""
    if not url:
        return _sqlite(state / "sumun.db")
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreFault("`store` is not a database URL: write postgresql://user@host/name") from None
    return _postgresql(parsed)


def prepare(engine: Engine) -> None:
    """Make the tables where there are none, and refuse a store of another version; raises StoreFault."""
    with guarded(engine), engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7364461)")  # two first starts at once
        metadata.create_all(connection)
        found = connection.scalar(select(about.c.value).where(about.c.key == "schema"))
        if found is None:
            _begin(connection)
        elif found != SCHEMA:
            raise StoreFault(f"the store has schema version {found}, this program knows {SCHEMA}: update the older one")


@contextmanager
def guarded(engine: Engine) -> Iterator[None]:
    """Turn whatever a driver raises into a StoreFault that names the store without its password."""
    try:
        yield
    except (SQLAlchemyError, OSError) as fault:
        cause = getattr(fault, "orig", None) or fault
        text = str(cause).strip().splitlines()
        why = text[0] if text else "no answer"
        raise StoreFault(f"store `{engine.url.render_as_string(hide_password=True)}`: {why}") from fault


def _begin(connection: Connection) -> None:
    for key, value in (("schema", SCHEMA), ("version", 0)):
        try:
            with connection.begin_nested():
                connection.execute(insert(about).values(key=key, value=value))
        except IntegrityError:  # another process began at the same moment
            continue


def _sqlite(path: Path) -> Engine:
    # pool_recycle: a file that was put in the place of the old one is noticed within that many seconds
    engine = create_engine(
        URL.create("sqlite", database=str(path)), poolclass=QueuePool, pool_size=2, max_overflow=2,
        pool_timeout=PATIENCE, pool_recycle=30, connect_args={"timeout": PATIENCE, "check_same_thread": False},
    )  # fmt: skip

    @event.listens_for(engine, "do_connect")
    def _exists(*_: Any) -> None:
        if not path.exists():
            _new_file(path)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy's own advice: we begin transactions ourselves, see below
        connection.execute("PRAGMA synchronous=FULL")  # what a page has promised survives a power cut

    @event.listens_for(engine, "begin")
    def _immediate(connection: Connection) -> None:
        # a transaction that reads and then writes would fail with "locked" instead of waiting its turn
        writes = connection.get_execution_options().get("writes", True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _new_file(path: Path) -> None:
    """Put an empty database in place, whole: 0600 (its WAL gets the same mode), and readers never wait for a writer.

    Made beside and linked, because two processes that switch one file to WAL at once lock each other out, and because
    opening and closing a file that SQLite uses drops this process's locks on it (sqlite.org/howtocorrupt.html, 2.2).
    """
    handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        with suppress(FileExistsError):  # another process was first
            os.link(draft, path)
    finally:
        Path(draft).unlink()


def _postgresql(url: URL) -> Engine:
    if url.get_backend_name() != "postgresql":
        raise StoreFault(f"`store` is of a kind that is not supported, `{url.get_backend_name()}`: use postgresql://")
    options = f"-c statement_timeout={PATIENCE * 1000} -c lock_timeout={PATIENCE * 1000}"
    try:
        return create_engine(
            url.set(drivername=_POSTGRESQL), poolclass=QueuePool, pool_size=2, max_overflow=2, pool_timeout=PATIENCE,
            pool_pre_ping=True, connect_args={"connect_timeout": PATIENCE, "options": options},
        )  # fmt: skip
    except ImportError:
        raise StoreFault("PostgreSQL needs its driver: install `sumun[postgresql]`") from None
