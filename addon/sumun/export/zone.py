"""Entries to the records of a response policy zone (draft-vixie-dnsop-dns-rpz-00).

A wildcard record does not reach past a name that exists (RFC 4592, section 2.2.1), and a name exists as soon as one
below it does. So wherever a wildcard stands above, every name on the way down gets its records too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sumun.model.listed import Entry
from sumun.model.service import Match

_TARGETS = {True: ".", False: "rpz-passthru."}
"""NXDOMAIN, or resolved as if there were no zone (sections 3.1 and 3.3)."""


def head(serial: int, ttl: int) -> Iterator[str]:
    """What makes the lines below a zone: TTL in seconds, start of authority, a name server that nobody asks."""
    yield f"$TTL {ttl}"
    yield f"@ SOA localhost. root.localhost. {serial} 3600 600 86400 {ttl}"
    yield "@ NS localhost."


def records(entries: Iterable[Entry]) -> Iterator[str]:
    """A line a record, relative to the zone."""
    exact: dict[str, bool] = {}
    below: dict[str, bool] = {}
    for entry in entries:
        (exact if entry.pattern.match is Match.EXACT else below)[entry.pattern.text] = entry.hold.carries
    for name in sorted(_existing(exact, below), key=lambda text: text.split(".")[::-1]):
        wider = _nearest(name, below)
        own = exact.get(name, wider)
        if own is not None:
            yield f"{name} CNAME {_TARGETS[own]}"
        if wider is not None:
            yield f"*.{name} CNAME {_TARGETS[wider]}"


def _existing(exact: dict[str, bool], below: dict[str, bool]) -> set[str]:
    names = {*exact, *below}
    for text in tuple(names):
        between: list[str] = []
        above = text
        while above := above.partition(".")[2]:
            if above in below:
                names.update(between)
                break
            between.append(above)
    return names


def _nearest(name: str, below: dict[str, bool]) -> bool | None:
    above = name
    while above:
        if above in below:
            return below[above]
        above = above.partition(".")[2]
    return None
