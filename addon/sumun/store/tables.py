"""The tables. A change of them raises ``SCHEMA`` and says in ``open`` how the one before becomes this one."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table

SCHEMA = 1
"""Version of what is below; written into the store."""

metadata = MetaData()

_ID, _WORD, _NAME, _TEXT = String(40), String(64), String(255), String(2000)
# Instants are whole microseconds since 1970: both databases compare them alike, and no driver guesses a time zone.
_INSTANT = BigInteger

about = Table(
    "sumun_about", metadata, Column("key", _WORD, primary_key=True), Column("value", BigInteger, nullable=False)
)
"""``schema``, and ``version``, which grows with every change: whether anything changed is one small read."""

_subject = (
    ("segment", _WORD),
    ("rule", _WORD),
    ("service", _WORD),
    ("name", _NAME),
    ("client", _WORD),
    ("user", _NAME),
)


def _who_and_what() -> list[Column[str]]:
    return [Column(name, kind, nullable=False, default="") for name, kind in _subject]


grants = Table(
    "sumun_grants", metadata,
    Column("id", _ID, primary_key=True),
    Column("kind", _WORD, nullable=False),
    *_who_and_what(),
    Column("reason", _TEXT, nullable=False, default=""),
    Column("purpose", _WORD, nullable=False, default=""),
    Column("approver", _NAME, nullable=False, default=""),
    Column("given", _INSTANT, nullable=False),
    Column("until", _INSTANT, nullable=False),
    Column("ended", Integer, nullable=False, default=0),
    Index("sumun_grants_in_force", "ended", "until"),
)  # fmt: skip
"""``ended``: 0 while it is in force, 1 once it has lapsed, 2 once it was revoked; each is set once, by one process."""

justifications = Table(
    "sumun_justifications", metadata,
    Column("id", _ID, primary_key=True),
    *_who_and_what(),
    Column("approver", _NAME, nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("purpose", _WORD, nullable=False, default=""),
    Column("length", BigInteger, nullable=False),
    Column("asked", _INSTANT, nullable=False),
    Column("state", _WORD, nullable=False),
    Column("decided", _INSTANT),
    Column("decided_by", _NAME, nullable=False, default=""),
    Index("sumun_justifications_open", "state", "decided"),
)  # fmt: skip

reviews = Table(
    "sumun_reviews", metadata,
    Column("id", _ID, primary_key=True),
    *_who_and_what(),
    Column("incident", _WORD, nullable=False, default=""),
    Column("text", _TEXT, nullable=False),
    Column("asked", _INSTANT, nullable=False),
    Column("closed", _INSTANT),
    Column("closed_by", _NAME, nullable=False, default=""),
)  # fmt: skip

used_forms = Table(
    "sumun_used_forms", metadata,
    Column("nonce", _WORD, primary_key=True),
    Column("expires", _INSTANT, nullable=False),
)  # fmt: skip
"""Forms that were sent; forgotten when they would be refused for their age anyhow."""
