"""Is this the next version of that list? Bytes in, a verdict out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256

from sumun.catalogue.guard import Guard
from sumun.catalogue.lists import Refused, parse_list
from sumun.config.settings import ListSource
from sumun.loading.fetch import Fetched
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.record import Record
from sumun.loading.signature import verify
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.model.service import Pattern
from sumun.policy.domain_index import DomainIndex

_TOO_FEW = 100
"""Entries, or refused lines, below which a share says nothing: a list of five may well become one of ten."""


@dataclass(frozen=True, slots=True)
class Vetted:
    """A version that may be taken."""

    text: str
    sha256: str
    entries: int
    refused: int
    signed_at: datetime | None = None


def vet(
    fetched: Fetched,
    source: ListSource,
    guard: Guard,
    have: Record,
    *,
    signature: bytes | None = None,
    accept: bool = False,
) -> Vetted:
    """Check a version against what was asked for and what is at hand; raises NotTaken with the first reason found.

    ``accept`` takes a sudden change of size: an administrator has looked at it.
    """
    digest = sha256(fetched.octets).hexdigest()
    if source.sha256 and digest != source.sha256:
        raise NotTaken(Outcome.DIGEST, f"its digest is `{digest}`: it is not the version that was vetted")
    signed_at = verify(fetched.octets, signature or b"", source.public_key) if source.public_key else None
    if digest != have.sha256:
        _not_older(fetched, signed_at, have)
    text = _text(fetched)
    entries, refused = count(text, source.format, guard)
    _enough(entries, refused, source)
    if have.entries and not accept:
        _like(entries, have.entries, source)
    return Vetted(text, digest, entries, refused, signed_at)


def count(text: str, form: str, guard: Guard) -> tuple[int, int]:
    """How many names a list carries, each counted once, and how many lines are refused.

    What an exception takes out again is not carried, so that a version which excepts everything counts as empty.
    """
    seen: set[int] = set()
    exceptions: list[tuple[Pattern, int]] = []
    refused = 0
    for item in parse_list(text, form, guard):
        match item:
            case Entry(pattern, hold):
                if hold.carries:
                    seen.add(hash((pattern.text, pattern.match)))
                elif hold.rank:
                    exceptions.append((pattern, hold.rank))
            case Refused():
                refused += 1
    if exceptions:
        seen -= _excepted(text, form, DomainIndex(exceptions))
    return len(seen), refused


def _excepted(text: str, form: str, exceptions: DomainIndex[int]) -> set[int]:
    """Entries of which not even the name itself is carried; read once more, since few lists have exceptions at all."""
    found: set[int] = set()
    carried: set[int] = set()
    for item in parse_list(text, form):
        if isinstance(item, Entry) and item.hold.carries:
            ranks = exceptions.lookup(DomainName(item.pattern.text))
            excepted = any(rank > item.hold.rank for group in ranks for rank in group)
            (found if excepted else carried).add(hash((item.pattern.text, item.pattern.match)))
    return found - carried


def _text(fetched: Fetched) -> str:
    start = fetched.octets[:1000].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not fetched.octets.strip():
        raise NotTaken(Outcome.EMPTY, "it is empty")
    if start.startswith(b"<") or fetched.content_type.lower().startswith("text/html"):
        raise NotTaken(Outcome.HTML, "it is a web page: a login, an error, or another address than the list's own")
    try:
        return fetched.octets.decode()
    except UnicodeDecodeError as why:
        line = fetched.octets.count(b"\n", 0, why.start) + 1
        raise NotTaken(Outcome.ENCODING, f"line {line} is not UTF-8") from None


def _not_older(fetched: Fetched, signed_at: datetime | None, have: Record) -> None:
    """A version that was replaced once may be played back, signature and all."""
    if have.signed_at and (signed_at is None or signed_at < have.signed_at):
        when = f"was signed at {signed_at:%Y-%m-%d %H:%M}" if signed_at else "does not say when it was signed"
        raise NotTaken(Outcome.OLDER, f"it {when}: the one at hand is of {have.signed_at:%Y-%m-%d %H:%M}")
    published, before = _moment(fetched.validators.last_modified), _moment(have.last_modified)
    if published and before and published < before:
        raise NotTaken(
            Outcome.OLDER, f"it is of {published:%Y-%m-%d %H:%M}: the one at hand of {before:%Y-%m-%d %H:%M}"
        )


def _moment(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else None


def _enough(entries: int, refused: int, source: ListSource) -> None:
    if not entries:
        raise NotTaken(Outcome.EMPTY, f"it has no entries in the format `{source.format}`: {refused:,} lines refused")
    share = 100 * refused / (entries + refused)
    if share > source.tolerance.refused:
        message = f"{share:.0f} % of its lines are refused, {source.tolerance.refused} % are borne"
        raise NotTaken(Outcome.REFUSALS, f"{message}: is `format: {source.format}` right?")


def _like(entries: int, before: int, source: ListSource) -> None:
    if abs(entries - before) < _TOO_FEW:
        return
    change = 100 * (entries - before) / before
    limit = source.tolerance.growth if change > 0 else source.tolerance.shrink
    if abs(change) > limit:
        outcome, word = (Outcome.GREW, "more") if change > 0 else (Outcome.SHRANK, "fewer")
        message = f"{entries:,} entries, {abs(change):.0f} % {word} than the {before:,} at hand; {limit} % are borne"
        raise NotTaken(outcome, f"{message}: `sumun lists update {source.id} --accept` takes it all the same")
