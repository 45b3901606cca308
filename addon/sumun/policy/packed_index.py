"""A million names in one buffer: built once, mapped into every process, looked up without being parsed.

Answers as ``DomainIndex`` does, for entries that are ids of lists. The buffer holds, each part aligned to eight octets:

    magic, SHA-256 of all that follows, length of the header
    records   a name, and the number of its label, which says what lists carry it as what; every octet of a number has
              its top bit set, and none of a name has, so neither needs a mark at its end
    starts    for each bucket where its first record begins; for an empty one the complement of where it would
    roots     one octet each, about ten for a root, which is the last two labels of a name: how many labels the names
              below it have. So most misses end after one look, and a hit needs few
    header (JSON)

A name's hash is its CRC-32, since that is what Python computes fastest. It can be made to collide at will: records of
a bucket are in order, and many are searched by halving, so that a list of collisions costs little.
"""

from __future__ import annotations

import json
import re
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate
from typing import Any, Final, Protocol, overload
from zlib import crc32

from sumun.model.listed import Filed
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.domain_index import DomainIndex

MAGIC: Final = b"sumunix3"
_CHECKED: Final = 40
"""Octets before the part that the digest covers."""
_HEADER: Final = 48
_CELLS_PER_ROOT: Final = 10
_SCANNED: Final = 4096
"""Octets of a bucket that are searched from end to end; a bucket that nobody made on purpose has some thirty."""
_DEEP: Final = 8
"""Names of as many labels and more share the last bit in ``roots``; the first is for names of one."""
_DEEP_BIT: Final = 1 << _DEEP - 1
_DEPTHS: Final = tuple(
    tuple(depth for depth in range(_DEEP - 1, 0, -1) if 1 << depth - 1 & bits) for bits in range(256)
)
"""For each octet of ``roots`` the numbers of labels, without those that share a bit, the largest first."""
_TOP: Final = 0x80
_LONG: Final = 0xFF
"""Begins a number that does not fit into one octet."""
_LONG_SIZE: Final = 4
_MAX_LABELS: Final = 65_000
_RECORD: Final = re.compile(rb"([^\x80-\xff]+)([\x80-\xff]+)")
_NEXT: Final = re.compile(rb"[\x80-\xff]([^\x80-\xff]+)")
_KINDS: Final = (Match.EXACT, Match.SUFFIX)

type _Label = tuple[tuple[str, ...], tuple[str, ...]]
"""Lists that carry a name exactly, and lists that carry all below it too."""
type Buffer = Any
"""bytes or mmap: what both can do is slicing to bytes, and memoryview."""
type _Answers = tuple[list[list[str]], list[list[str]]]
"""What a look-up answers for a name itself, and for those below it."""


class Searched(Protocol):
    """Octets of which a slice is bytes; what bytes and memory maps have in common."""

    @overload
    def __getitem__(self, part: slice, /) -> bytes: ...
    @overload
    def __getitem__(self, place: int, /) -> int: ...

    def find(self, octets: bytes, start: int, end: int, /) -> int:
        """Where the octets begin, not before ``start``; -1: they do not lie before ``end``."""
        ...

    def __buffer__(self, flags: int, /) -> memoryview:
        """For regular expressions."""
        ...


class DamagedIndex(ValueError):
    """A buffer that is no index, or no longer what was written."""


def pack(entries: Iterable[tuple[Pattern, str]], about: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    """Build an index piece by piece; ``about`` is kept beside it, as JSON, as it is after the last entry."""
    gathered = _Gathered()
    for pattern, value in entries:
        gathered.add(pattern, value)
    names, count = gathered.names, len(gathered.names)
    mask = (2 << max(4, count.bit_length())) - 1
    ordered = sorted(names)
    ordered.sort(key=lambda name: crc32(name) & mask)
    numbers = array("H", map(names.__getitem__, ordered))
    names.clear()  # a hundred megabytes for a million names, and the rest needs room
    written = [_written_number(number) for number in range(len(gathered.labels))]
    sizes = array("i", bytes(4 * (mask + 1)))
    for name, number in zip(ordered, numbers, strict=True):
        sizes[crc32(name) & mask] += len(name) + len(written[number])
    parts = {
        "records": _records(ordered, map(written.__getitem__, numbers), sum(sizes)),
        "starts": _starts(sizes),
        "roots": _roots(ordered),
    }
    header = {
        "labels": list(gathered.labels),
        "globs": list(gathered.globs),
        "counts": gathered.counts,
        "about": dict(about),
        "names": count,
        "crowded": max(sizes) > _SCANNED,
        "order": sys.byteorder,
    }
    yield from _written(parts, header)


@dataclass(slots=True)
class _Gathered:
    """Each name once, with the number of its label: which lists carry it as what.

    Labels repeat, so they are few.
    """

    names: dict[bytes, int] = field(default_factory=dict)
    globs: dict[tuple[str, str], None] = field(default_factory=dict)
    labels: dict[_Label, int] = field(default_factory=lambda: {((), ()): 0})
    counts: dict[str, int] = field(default_factory=dict)
    _widened: dict[tuple[int, str, bool], int] = field(default_factory=dict)

    def add(self, pattern: Pattern, value: str) -> None:
        if pattern.match is Match.GLOB:
            known = len(self.globs)
            self.globs[pattern.text, value] = None
            self.counts[value] = self.counts.get(value, 0) + len(self.globs) - known
            return
        name = pattern.text.encode("ascii")
        before = self.names.get(name, 0)
        step = (before, value, pattern.match is Match.EXACT)
        if (after := self._widened.get(step)) is None:
            after = self._widened[step] = self._wider(*step)
        if after != before:
            self.names[name] = after
            self.counts[value] = self.counts.get(value, 0) + 1

    def _wider(self, number: int, value: str, exact: bool) -> int:
        old_exact, old_suffix = list(self.labels)[number]
        if value in (old_exact if exact else old_suffix):
            return number
        label = ((*old_exact, value), old_suffix) if exact else (old_exact, (*old_suffix, value))
        if label not in self.labels and len(self.labels) >= _MAX_LABELS:
            raise ValueError("more combinations of lists than an index can hold")
        return self.labels.setdefault(label, len(self.labels))


def _records(names: Iterable[bytes], numbers: Iterable[bytes], size: int) -> bytearray:
    records, end = bytearray(size), 0
    for name, number in zip(names, numbers, strict=True):
        start, end = end, end + len(name) + len(number)
        records[start:end] = name + number
    return records


def _roots(names: Sequence[bytes]) -> bytearray:
    hashes = array("I", (crc32(b"".join(name.rsplit(b".", 2)[-2:])) for name in names))
    seen = bytearray(8 << max(4, len(names).bit_length()))
    for value in hashes:
        seen[value & len(seen) - 1] = 1
    roots = max(2, sum(seen))  # nearly: some share a place
    top = any(b"." not in name for name in names)  # such a name may have any root below it
    cells = bytearray((top,)) * (roots * _CELLS_PER_ROOT + 1)
    for value, name in zip(hashes, names, strict=True):
        cells[value % len(cells)] |= 1 << min(name.count(b"."), _DEEP - 1)
    return cells


def _starts(sizes: Sequence[int]) -> array[int]:
    starts = array("i", accumulate(sizes, initial=_HEADER))
    for bucket, size in enumerate(sizes):
        if not size:
            starts[bucket] = ~starts[bucket]
    return starts


def _written_number(number: int) -> bytes:
    """One octet for the first numbers, and there are seldom more; seven bits in an octet for the rest."""
    if number < _LONG - _TOP:
        return bytes((_TOP | number,))
    return bytes((_LONG, _TOP | number & 0x7F, _TOP | number >> 7 & 0x7F, _TOP | number >> 14))


def _written(parts: Mapping[str, Any], header: dict[str, Any]) -> Iterator[bytes | memoryview]:
    pieces = {name: memoryview(part).cast("B") for name, part in parts.items()}
    sizes = {name: len(piece) for name, piece in pieces.items()}
    text = json.dumps({**header, "sizes": sizes}).encode()
    body: list[bytes | memoryview] = [len(text).to_bytes(8, "little")]
    for piece in pieces.values():
        body += [piece, bytes(-len(piece) % 8)]
    body.append(text)
    digest = sha256()
    for part in body:
        digest.update(part)
    yield MAGIC + digest.digest()
    yield from body


class PackedIndex:
    """Immutable; ``buffer`` is bytes or a memory map, and stays as it is for as long as this is used."""

    def __init__(self, buffer: Buffer, *, check: bool = True) -> None:
        header = _header(buffer, check=check)
        self.about: Final[Mapping[str, Any]] = header["about"]
        """What was kept beside the entries."""
        self.counts: Final[Mapping[str, int]] = header["counts"]
        """Entries of each list."""
        self._labels: Final[dict[bytes, list[list[str]]]] = {
            _written_number(number): label for number, label in enumerate(header["labels"])
        }
        self._answers: Final[dict[bytes, _Answers]] = {
            number: ([*filter(None, label)], [*filter(None, label[1:])]) for number, label in self._labels.items()
        }
        self._short: Final = tuple(self._answers.get(bytes((octet,))) for octet in range(256))
        """The same by the octet behind a name; None: it is no number, or only begins one."""
        self._listed_globs: Final[list[list[str]]] = header["globs"]
        self._globs: Final = DomainIndex((Pattern(text, Match.GLOB), value) for text, value in self._listed_globs)
        self._has_globs: Final = bool(header["globs"])
        self._crowded: Final[bool] = header["crowded"]
        self._length: Final[int] = header["names"]
        places, view = _places(header["sizes"], _HEADER), memoryview(buffer)
        self._roots: Final = view[slice(*places["roots"])]
        self._starts: Final = view[slice(*places["starts"])].cast("i")
        self._octets: Final[Searched] = buffer
        self._root_cells: Final = len(self._roots)  # odd: CRCs of numbered names are too regular for a power of two
        self._bucket_mask: Final = len(self._starts) - 2

    def __len__(self) -> int:
        return self._length

    def lookup(self, name: DomainName) -> list[list[str]]:
        """All lists that cover the name, in the groups and the order of ``DomainIndex.lookup``."""
        # Every name that anybody asks for comes here, and calls cost most: so the usual way is all in one function.
        octets = name.text.encode()
        labels = octets.split(b".")
        count = len(labels)
        root = labels[-2] + labels[-1] if count > 1 else octets
        depths = self._roots[crc32(root) % self._root_cells]
        if not depths:
            return self._globs.lookup(name) if self._has_globs else []
        found = self._deep(octets, count) if depths >= _DEEP_BIT else []
        for depth in _DEPTHS[depths]:
            above = count - depth
            if above < 0:
                continue
            listed = octets.split(b".", above)[-1]
            start = self._starts[crc32(listed) & self._bucket_mask]
            if start < 0:
                continue
            end = start + len(listed)
            if self._octets[start:end] != listed or not (answers := self._short[self._octets[end]]):
                answers = self._find(listed)  # as for one name in five, since it is not the first of its bucket
            if answers:
                found += answers[above > 0]
        return self._with_globs(name, octets, found) if self._has_globs else found

    def covers(self, name: DomainName) -> bool:
        """Whether any entry covers the name."""
        return bool(self.lookup(name))

    def patterns_of(self, lists: frozenset[str]) -> Iterator[Pattern]:
        """Every pattern of these lists, in no order that means anything."""
        ours = {
            number: [match for match, filed in zip(_KINDS, label, strict=True) if _any_of(lists, filed)]
            for number, label in self._labels.items()
        }
        first, last = self._starts[0], self._starts[-1]
        for record in _RECORD.finditer(self._octets, max(first, ~first), last):
            if matches := ours[record[2]]:
                text = record[1].decode()
                yield from (Pattern(text, match) for match in matches)
        yield from (Pattern(text, Match.GLOB) for text, value in self._listed_globs if _any_of(lists, [value]))

    def _deep(self, octets: bytes, count: int) -> list[list[str]]:
        """What is filed under the name and those above it, as far as they share the last bit of ``roots``."""
        found: list[list[str]] = []
        for above in range(count - _DEEP + 1):
            if answers := self._find(octets):
                found += answers[above > 0]
            octets = octets.partition(b".")[2]
        return found

    def _with_globs(self, name: DomainName, octets: bytes, found: list[list[str]]) -> list[list[str]]:
        """What was found, and what is filed under globs between the name itself and wider ones."""
        globs = self._globs.lookup(name)
        itself = self._find(octets) if globs else None
        after = len(itself[0]) if itself else 0
        return [*found[:after], *globs, *found[after:]]

    def _find(self, name: bytes) -> _Answers | None:
        """What is answered for this name, and for those below it."""
        bucket = crc32(name) & self._bucket_mask
        low, high = self._starts[bucket], self._starts[bucket + 1]
        if low < 0 or not name:  # the root is on no list
            return None
        high = max(high, ~high)
        if self._crowded:
            low, high = self._narrowed(name, low, high)
        place = self._octets.find(name, low, high)
        while place >= 0:
            end = place + len(name)
            first = self._octets[end]
            if first >= _TOP and (place == low or self._octets[place - 1] >= _TOP):  # no part of a longer name
                return self._short[first] or self._answers[self._octets[end : end + _LONG_SIZE]]
            place = self._octets.find(name, place + 1, high)
        return None

    def _narrowed(self, name: bytes, low: int, high: int) -> tuple[int, int]:
        """The few of very many records among which the name would be."""
        while high - low > _SCANNED and (record := _NEXT.search(self._octets, (low + high) // 2, high)):
            if record[1] <= name:
                low = record.start(1)
            else:
                high = record.start(1)
        return low, high


def _any_of(lists: frozenset[str], filed: Iterable[str]) -> bool:
    return any(Filed.read(text).list in lists for text in filed)


def _header(buffer: Buffer, *, check: bool) -> dict[str, Any]:
    """The header; raises DamagedIndex."""
    if bytes(buffer[:8]) != MAGIC or len(buffer) < _HEADER:
        raise DamagedIndex("this is no index, or one of another version")
    with memoryview(buffer) as view:
        if check and sha256(view[_CHECKED:]).digest() != bytes(view[8:_CHECKED]):
            raise DamagedIndex("the index is damaged: its digest does not hold")
    length = int.from_bytes(buffer[_CHECKED:_HEADER], "little")
    try:
        header: dict[str, Any] = json.loads(bytes(buffer[len(buffer) - length :]))
    except ValueError:
        raise DamagedIndex("the index is damaged: its header cannot be read") from None
    if header["order"] != sys.byteorder:
        raise DamagedIndex("the index was made on another kind of machine")
    return header


def _places(sizes: Mapping[str, int], start: int) -> dict[str, tuple[int, int]]:
    places: dict[str, tuple[int, int]] = {}
    for name, size in sizes.items():
        places[name] = (start, start + size)
        start += size + (-size % 8)
    return places
