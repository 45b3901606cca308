"""Who somebody is, where the proxy has asked: a name and the groups it is in."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

GROUP = "group:"
"""Stands before the name of a group where a condition on users takes either."""
LONGEST = 128
"""Characters of a name."""


class BadUserName(ValueError):
    """No name of a user; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who proved who they are, or for whom a listed parent vouches; names are canonical."""

    name: str
    groups: frozenset[str] = frozenset()

    @property
    def principals(self) -> frozenset[str]:
        """All that a condition on users may call this person."""
        return frozenset({self.name, *(GROUP + group for group in self.groups)})


def user_name(text: str) -> str:
    """The canonical form: NFKC, without regard to case, since most directories have none; raises BadUserName.

    What a directory might leave out in comparing (RFC 4518, 2.2) is refused: two spellings of one name would be two
    users to the rules.
    """
    name = unicodedata.normalize("NFKC", text[: 4 * LONGEST]).casefold()
    if not 0 < len(name) <= LONGEST:
        raise BadUserName(f"a user's name has 1 to {LONGEST} characters")
    odd = any(unicodedata.category(c)[0] == "C" or (c.isspace() and c != " ") for c in name)
    if odd or name != name.strip() or "  " in name or ":" in name or name.startswith(GROUP):
        raise BadUserName("a user's name has no control characters, no colon and no space at its ends")
    return name


def principal(text: str) -> str:
    """A user, or `group:NAME`, as a condition on users has it; raises BadUserName."""
    text = text.strip()
    if text[: len(GROUP)].casefold() == GROUP:
        return GROUP + user_name(text[len(GROUP) :].strip())
    return user_name(text)
