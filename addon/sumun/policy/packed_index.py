"""A million names in one buffer: built once, mapped into every process, looked up without being parsed.

Answers as ``DomainIndex`` does, for entries that are ids of lists. The buffer holds, each part aligned to eight octets:

    magic, SHA-256 of all that follows, length of the header
    records   a dot, the name, a zero octet, and two octets that say which lists carry it as what
    starts    where the first record of each bucket begins, and where the last record ends
    roots     one octet each, about eight for a root, which is the last two labels of a name: how deep the names below
              it are. So most misses end after one look, and a hit needs few
    header (JSON)

A name's hash is its CRC-32, since that is what Python computes fastest. It can be made to collide at will: records of
a bucket are in order, and many are searched by halving, so that a list of collisions costs little.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final, Protocol, overload
from zlib import crc32

from sumun.model.listed import Filed
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.domain_index import DomainIndex

MAGIC: Final = b"sumunix2"
_CHECKED: Final = 40
"""Octets before the part that the digest covers."""
_HEADER: Final = 48
_CELLS_PER_ROOT: Final = 8
_SCANNED: Final = 4096
"""Octets of a bucket that are searched from end to end; a bucket that nobody made on purpose has some thirty."""
_DEEPEST: Final = 7
"""Bit in ``roots`` for names of nine labels and more; bit 0 is for names of two."""
_LABEL: Final = 2
"""Octets of a label's number."""
_FEW_LABELS, _MAX_LABELS = 255, 255 * 255
"""For a few, the first octet says it all."""
_KINDS: Final = (Match.EXACT, Match.SUFFIX)

type _Label = tuple[tuple[str, ...], tuple[str, ...]]
"""Lists that carry a name exactly, and lists that carry all below it too."""
type Buffer = Any
"""bytes or mmap: what both can do is slicing to bytes, and memoryview."""


class Searched(Protocol):
    """Octets of which a slice is bytes; what bytes and memory maps have in common."""

    @overload
    def __getitem__(self, part: slice, /) -> bytes: ...
    @overload
    def __getitem__(self, place: int, /) -> int: ...

    def find(self, octets: bytes, start: int, end: int, /) -> int:
        """Where the octets begin, not before ``start``; -1: they do not lie before ``end``."""
        ...


class DamagedIndex(ValueError):
    """A buffer that is no index, or no longer what was written."""


def pack(entries: Iterable[tuple[Pattern, str]], about: Mapping[str, Any]) -> Iterator[bytes | memoryview]:
    """Build an index piece by piece; ``about`` is kept beside it, as JSON, as it is after the last entry."""
    gathered = _Gathered()
    for pattern, value in entries:
        gathered.add(pattern, value)
    names, count = gathered.names, len(gathered.names)
    buckets = 1 << max(4, count.bit_length())
    ordered = sorted(names)
    ordered.sort(key=lambda record: crc32(record) & (buckets - 1))
    numbers = array("H", map(names.__getitem__, ordered))
    names.clear()  # a hundred megabytes for a million names, and the rest needs room
    starts = _starts(ordered, buckets)
    parts = {
        "records": _records(ordered, numbers, starts[-1] - _HEADER),
        "starts": starts,
        "roots": _roots(ordered, buckets),
    }
    header = {
        "labels": list(gathered.labels),
        "globs": list(gathered.globs),
        "counts": gathered.counts,
        "about": dict(about),
        "names": len(ordered),
        "short": not all(b"." in record[1:] for record in ordered),
        "crowded": any(end - start > _SCANNED for start, end in pairwise(starts)),
        "order": sys.byteorder,
    }
    yield from _written(parts, header)


@dataclass(slots=True)
class _Gathered:
    """Each name once, as its record begins, with the number of its label: which lists carry it as what.

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
        name = f".{pattern.text}\0".encode()
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


def _records(names: Iterable[bytes], numbers: Iterable[int], size: int) -> bytearray:
    records, end = bytearray(size), 0
    labels: dict[int, bytes] = {}
    for name, number in zip(names, numbers, strict=True):
        if (label := labels.get(number)) is None:
            label = labels[number] = _written_label(number)
        records[end : end + len(name)] = name
        end += len(name) + _LABEL
        records[end - _LABEL : end] = label
    return records


def _roots(records: Sequence[bytes], buckets: int) -> bytearray:
    hashes = array("I", (crc32(record[_root(record) :]) for record in records))
    seen = bytearray(buckets)
    for value in hashes:
        seen[value & (buckets - 1)] = 1
    roots = max(2, sum(seen))  # nearly: some share a place
    cells = bytearray(1 << (roots * _CELLS_PER_ROOT - 1).bit_length())
    for value, record in zip(hashes, records, strict=True):
        cells[value & (len(cells) - 1)] |= 1 << min(max(record.count(b".") - 2, 0), _DEEPEST)
    return cells


def _root(octets: bytes) -> int:
    """Where the last two labels begin; -1: there is but one."""
    return octets.rfind(b".", 0, octets.rfind(b"."))


def _starts(records: Sequence[bytes], buckets: int) -> array[int]:
    starts = array("I", [_HEADER, *bytes(buckets)])
    for record in records:
        starts[(crc32(record) & (buckets - 1)) + 1] += len(record) + _LABEL
    for bucket in range(buckets):
        starts[bucket + 1] += starts[bucket]
    return starts


def _written_label(number: int) -> bytes:
    """Two octets, none of them zero."""
    return bytes((number % 255 + 1, number // 255 + 1))


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
        labels = header["labels"]
        self._many_labels: Final = len(labels) > _FEW_LABELS
        self._labels: Final[dict[int, list[list[str]]]] = {
            first + 256 * second * self._many_labels: label
            for (first, second), label in zip(map(_written_label, range(len(labels))), labels, strict=True)
        }
        self._listed_globs: Final[list[list[str]]] = header["globs"]
        self._globs: Final = DomainIndex((Pattern(text, Match.GLOB), value) for text, value in self._listed_globs)
        self._has_globs: Final = bool(header["globs"])
        self._has_short: Final[bool] = header["short"]
        self._crowded: Final[bool] = header["crowded"]
        self._length: Final[int] = header["names"]
        places, view = _places(header["sizes"], _HEADER), memoryview(buffer)
        self._roots: Final = view[slice(*places["roots"])]
        self._starts: Final = view[slice(*places["starts"])].cast("I")
        self._octets: Final[Searched] = buffer
        self._root_mask: Final = len(self._roots) - 1
        self._bucket_mask: Final = len(self._starts) - 2

    def __len__(self) -> int:
        return self._length

    def lookup(self, name: DomainName) -> list[list[str]]:
        """All lists that cover the name, in the groups and the order of ``DomainIndex.lookup``."""
        octets = f".{name.text}\0".encode()
        dot = octets.rfind(b".", 0, octets.rfind(b"."))
        depths = self._roots[crc32(octets[dot:]) & self._root_mask]
        if self._has_short or self._has_globs:
            return self._wide_groups(name, octets, dot, depths)
        return self._groups(octets, dot, depths) if depths else []

    def covers(self, name: DomainName) -> bool:
        """Whether any entry covers the name."""
        return bool(self.lookup(name))

    def patterns_of(self, lists: frozenset[str]) -> Iterator[Pattern]:
        """Every pattern of these lists, in no order that means anything."""
        ours = {
            number: [match for match, filed in zip(_KINDS, label, strict=True) if _any_of(lists, filed)]
            for number, label in self._labels.items()
        }
        place, last = self._starts[0], self._starts[-1]
        while place < last:
            end = self._octets.find(b"\0", place, last)
            number = self._octets[end + 1] + 256 * self._octets[end + 2] * self._many_labels
            if matches := ours[number]:
                text = self._octets[place + 1 : end].decode()
                yield from (Pattern(text, match) for match in matches)
            place = end + 1 + _LABEL
        yield from (Pattern(text, Match.GLOB) for text, value in self._listed_globs if _any_of(lists, [value]))

    def _groups(self, octets: bytes, dot: int, depths: int, globs: Sequence[list[str]] = ()) -> list[list[str]]:
        """What is filed from the root, which begins at this dot, to the whole name."""
        found: list[list[str]] = []
        while depths and dot >= 0:
            if depths & 1 and (label := self._find(octets[dot:])):
                if not dot:
                    return [*filter(None, label), *globs, *found]
                if suffix := label[1]:
                    found = [suffix, *found] if found else [suffix]
            depths = depths >> 1 | depths & 1 << _DEEPEST
            dot = octets.rfind(b".", 0, dot)
        return [*globs, *found] if globs else found

    def _wide_groups(self, name: DomainName, octets: bytes, dot: int, depths: int) -> list[list[str]]:
        """The same where names of one label or globs are listed too."""
        globs = self._globs.lookup(name) if self._has_globs else []
        top = self._find(octets[octets.rfind(b".") :]) or ([], [])
        if dot < 0:
            return [*filter(None, top), *globs]
        return [*self._groups(octets, dot, depths, globs), *filter(None, top[1:])]

    def _find(self, name: bytes) -> Sequence[list[str]] | None:
        """Lists that carry a name, as it stands in its record, exactly, and those that carry all below it too."""
        bucket = crc32(name) & self._bucket_mask
        low, high = self._starts[bucket], self._starts[bucket + 1]
        if self._crowded:
            low, high = self._narrowed(name, low, high)
        place = self._octets.find(name, low, high)
        while place > low and self._octets[place - _LABEL - 1]:  # the end of a longer name
            place = self._octets.find(name, place + 1, high)
        if place < 0:
            return None
        end = place + len(name)
        number = self._octets[end]
        return self._labels[number + 256 * self._octets[end + 1] if self._many_labels else number]

    def _narrowed(self, name: bytes, low: int, high: int) -> tuple[int, int]:
        """The few of very many records among which the name would be."""
        while high - low > _SCANNED:
            middle = self._octets.find(b"\0", (low + high) // 2, high) + 1 + _LABEL
            if self._octets[middle : middle + len(name)] <= name:
                low = middle
            else:
                high = middle
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
