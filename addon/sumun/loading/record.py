"""What is known of a subscribed list beside its text, kept across restarts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from sumun.config.settings import ListSource
from sumun.loading.fetch import Fetched, Validators
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.private_file import read_private, write_private
from sumun.loading.sources import copy_of

_MAX_OCTETS = 100_000
_MOMENTS = ("confirmed_at", "taken_at", "attempted_at", "signed_at")


@dataclass(frozen=True, slots=True)
class Record:
    """The version at hand and the last attempt; the fields stand in ``<state>/lists/<id>.json``."""

    url: str = ""
    """Where the version at hand came from."""
    sha256: str = ""
    etag: str = ""
    last_modified: str = ""
    entries: int = 0
    refused: int = 0
    taken_at: datetime | None = None
    """When this version was first at hand."""
    confirmed_at: datetime | None = None
    """When it was last seen to be what is published."""
    signed_at: datetime | None = None
    attempted_at: datetime | None = None
    outcome: str = ""
    """Of the last attempt: one of ``Outcome``, empty before the first."""
    message: str = ""
    """Why that failed; empty if it did not."""
    failures: int = 0
    """Attempts since the last that did not."""

    def validators(self, source: ListSource) -> Validators:
        """For a conditional request; none if the version at hand is not from there."""
        return Validators(self.etag, self.last_modified) if self.url == source.url else Validators()

    def taken(self, at: datetime) -> Record:
        """After an attempt that found the version at hand to be the one that is published."""
        return replace(self, confirmed_at=at, attempted_at=at, outcome=Outcome.UNCHANGED.value, message="", failures=0)

    def failed(self, why: NotTaken, at: datetime) -> Record:
        """After an attempt that failed: the version at hand stays."""
        return replace(self, attempted_at=at, outcome=why.outcome.value, message=str(why), failures=self.failures + 1)


class ListStore:
    """The folder of copies and records; another process sees each file whole."""

    def __init__(self, state: Path) -> None:
        self._state = state

    def record(self, id_: str) -> Record:
        """What is known of a list; all empty where nothing is, or its copy is gone."""
        if not self.copy(id_).is_file():
            return replace(_record(self._file(id_)), sha256="", etag="", last_modified="", entries=0)
        return _record(self._file(id_))

    def copy(self, id_: str) -> Path:
        """Where the version at hand is."""
        return copy_of(id_, self._state)

    def keep(self, id_: str, record: Record, text: str | None = None) -> None:
        """Write a record, and a new version's text before it; raises NotTaken."""
        try:
            if text is not None:
                write_private(self.copy(id_), text.encode())
            write_private(self._file(id_), json.dumps(asdict(record), default=datetime.isoformat).encode())
        except OSError as why:
            raise NotTaken(
                Outcome.STORAGE, f"writing `{self.copy(id_)}`: {(why.strerror or str(why)).lower()}"
            ) from why

    def _file(self, id_: str) -> Path:
        return self.copy(id_).with_suffix(".json")


def changed(fetched: Fetched, source: ListSource, at: datetime) -> Record:
    """The record of a version just taken, as far as its transport tells."""
    known = fetched.validators
    return Record(
        url=source.url, etag=known.etag, last_modified=known.last_modified,
        taken_at=at, confirmed_at=at, attempted_at=at, outcome=Outcome.UPDATED.value,
    )  # fmt: skip


def _record(path: Path) -> Record:
    try:
        kept = json.loads(read_private(path, _MAX_OCTETS) or b"{}")
        return Record(**{key: _value(key, kept[key]) for key in _TYPES if key in kept})
    except (ValueError, TypeError, RecursionError):
        return Record()


_TYPES = {field.name: str(field.type) for field in fields(Record)}


def _value(key: str, value: Any) -> Any:
    if key in _MOMENTS:
        moment = None if value is None else datetime.fromisoformat(value)
        if moment and moment.tzinfo is None:
            raise ValueError(f"`{key}` has no zone")
        return moment
    wanted = int if _TYPES[key] == "int" else str
    if type(value) is not wanted:
        raise TypeError(f"`{key}` is no {_TYPES[key]}")
    return value
