"""Users of a file: read again when it changes."""

from __future__ import annotations

import logging
import stat
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sumun.model.user import Identity
from sumun.users.errors import UsersFault
from sumun.users.htpasswd import Refused, read_groups, read_passwords, verify

logger = logging.getLogger(__name__)

_LARGEST = 16 * 1024 * 1024
"""Octets of a file: some 200,000 users."""
_NOBODY = "$2b$10$abcdefghijklmnopqrstuuxuuIbQOkNHA12vQ6a5VXp0eJbtOlFzG"
"""What an unknown name is checked against where the file is empty."""

type _Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class _Book:
    """What the files said when they were read."""

    stamps: tuple[_Stamp | None, ...]
    passwords: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)


class UserFile:
    """Checks passwords against a file; every method may wait, and be called from any thread."""

    def __init__(self, passwords: Path, groups: Path | None = None) -> None:
        """Read the files; raises UsersFault, since a filter that nobody may use should not seem to start."""
        self._paths = passwords, groups
        self._lock = threading.Lock()
        self._book = self._read()

    def check(self, name: str, password: bytes) -> Identity | None:
        """The user, if the password is theirs; an unknown name takes as long as a wrong password."""
        book = self._current()
        hashed = book.passwords.get(name)
        decoy = next(iter(book.passwords.values()), _NOBODY)
        right = verify(password, hashed or decoy)
        return Identity(name, book.groups.get(name, frozenset())) if right and hashed else None

    def close(self) -> None:
        """Nothing is held open."""

    def _current(self) -> _Book:
        """What the files say now; where they are at fault, what they said before."""
        with self._lock:
            stamps = tuple(_stamp(path) for path in self._paths)
            if stamps != self._book.stamps:
                try:
                    self._book = self._read()
                except UsersFault as fault:
                    logger.error("%s; what it said before stays in force", fault)  # noqa: TRY400 - the fault says it all
                    self._book = _Book(stamps, self._book.passwords, self._book.groups)
            return self._book

    def _read(self) -> _Book:
        passwords_at, groups_at = self._paths
        stamps = tuple(_stamp(path) for path in self._paths)
        passwords, refused = read_passwords(_text(passwords_at))
        _refuse(passwords_at, refused)
        groups: Mapping[str, frozenset[str]] = {}
        if groups_at:
            groups, refused = read_groups(_text(groups_at))
            _refuse(groups_at, refused)
        return _Book(stamps, passwords, groups)


def _stamp(path: Path | None) -> _Stamp | None:
    try:
        found = path.stat() if path else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if found else None


def _text(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if mode & stat.S_IRWXO:
            raise UsersFault(f"`{path}` can be used by everybody (mode {stat.S_IMODE(mode):o}): run `chmod o= {path}`")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise UsersFault(f"`{path}` is larger than {_LARGEST} octets: use a directory (`users.ldap`)")
        return content.decode()
    except OSError as error:
        raise UsersFault(f"`{path}` cannot be read: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError:
        raise UsersFault(f"`{path}` is not UTF-8: save it so") from None


def _refuse(path: Path, refused: list[Refused]) -> None:
    if refused:
        told = "; ".join(f"line {each.line}: {each.why}" for each in refused[:20])
        raise UsersFault(f"`{path}`: {told}")
