"""Files of hashed passwords as Apache's `htpasswd` writes them, and of groups as its `AuthGroupFile` has them. Pure.

Only hashes that hold out for a while are taken: bcrypt (`htpasswd -B`), SHA-256 and SHA-512 crypt (`-2`, `-5`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import bcrypt

from sumun.model.user import BadUserName, user_name
from sumun.users import sha_crypt

_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_COSTS = range(5, 16)
"""bcrypt costs taken: what `htpasswd -B` makes by itself (5) up to some two seconds of work."""
_LONGEST = 72
"""Octets that bcrypt looks at."""
_WEAK = (
    ("$apr1$", "MD5 (apr1)"),
    ("$1$", "MD5"),
    ("{SHA}", "unsalted SHA-1"),
    ("{SSHA}", "SHA-1"),
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was not taken."""

    line: int
    why: str


def read_passwords(text: str) -> tuple[Mapping[str, str], list[Refused]]:
    """Canonical names to hashes, and what was refused; a refusal never shows the line, which may be a password."""
    found: dict[str, str] = {}
    refused: list[Refused] = []
    for number, line in _lines(text):
        name, colon, hashed = line.partition(":")
        try:
            user = user_name(name)
        except BadUserName as error:
            refused.append(Refused(number, str(error)))
            continue
        if why := _objection(hashed.strip()) if colon else "a line is `name:hash`":
            refused.append(Refused(number, why))
        elif user in found:
            refused.append(Refused(number, f"`{user}` stands here twice: names have no case"))
        else:
            found[user] = hashed.strip()
    return found, refused


def read_groups(text: str) -> tuple[Mapping[str, frozenset[str]], list[Refused]]:
    """Canonical names of users to their groups, out of lines `group: user user`."""
    found: dict[str, set[str]] = {}
    refused: list[Refused] = []
    for number, line in _lines(text):
        group, colon, members = line.partition(":")
        if not colon:
            refused.append(Refused(number, "a line is `group: user user`"))
            continue
        try:
            named = user_name(group.strip())
            for member in members.split():
                found.setdefault(user_name(member), set()).add(named)
        except BadUserName as error:
            refused.append(Refused(number, str(error)))
    return {user: frozenset(groups) for user, groups in found.items()}, refused


def verify(password: bytes, hashed: str) -> bool:
    """Whether a hash that was taken is this password's; slow on purpose, so never on the serving path."""
    if hashed.startswith("$2"):
        return bcrypt.checkpw(password[:_LONGEST], hashed.encode())
    return sha_crypt.verify(password, hashed)


def _objection(hashed: str) -> str:
    for prefix, what in _WEAK:
        if hashed.startswith(prefix):
            return f"{what} is too weak: set the password anew with `htpasswd -B`"
    if (match := _BCRYPT.fullmatch(hashed)) and int(match[1]) in _COSTS:
        return ""
    if sha_crypt.is_well_formed(hashed):
        return ""
    if match:
        return f"a bcrypt cost of {int(match[1])} is not served: {_COSTS.start} to {_COSTS.stop - 1} are"
    return "this is no bcrypt, SHA-256 or SHA-512 crypt hash: set the password anew with `htpasswd -B`"


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line
