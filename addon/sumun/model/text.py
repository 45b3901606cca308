"""Words for people, in several languages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """One message in the languages an administrator wrote it in; hashable, so rules can be compared."""

    versions: tuple[tuple[str, str], ...] = ()
    """Pairs of a language tag in lower case (``ko``, ``en``) and the message."""

    @classmethod
    def of(cls, value: str | Mapping[str, str] | None) -> Text:
        """Take a plain string as English, a mapping as it stands, nothing as empty."""
        if value is None:
            return cls()
        if isinstance(value, str):
            return cls((("en", value),))
        return cls(tuple((tag.lower(), message) for tag, message in value.items()))

    def within(self, language: str) -> str:
        """The message in this language, else in English, else in the first there is, else empty."""
        by_tag = dict(self.versions)
        return by_tag.get(language) or by_tag.get("en") or next((m for _, m in self.versions), "")

    def __bool__(self) -> bool:
        return bool(self.versions)
