"""A million names in one buffer: built once, mapped into every process, looked up without being parsed.

Answers as ``DomainIndex`` does, for entries that are ids of lists. The buffer holds, each part aligned to eight octets:

    magic, SHA-256 of all that follows, length of the header, header (JSON)
    roots     one octet each, eight for a root: 0 nobody, 255 several, else a tag; the root of a name is
              its last two labels, so most misses end after one look
    cells     the same for the names themselves
    starts    first record of each bucket, and one past the last record
    offsets   where the name of each record begins, and one past the last name
    labels    for each record, which lists carry it as what
    names     the names themselves, end to end

A name's hash is the CRC-32 of its labels from the last to the first, so that one pass over a query hashes all of its
suffixes. CRC-32 can be made to collide at will: records of a bucket are in order and searched by halving, so that a
list of collisions costs little.
"""

from __future__ import annotations

import json
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Protocol
from zlib import crc32

from sumun.model.listed import Filed
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.domain_index import DomainIndex

MAGIC: Final = b"sumunix1"
_CHECKED: Final = 40
"""Octets before the part that the digest covers."""
_HEADER: Final = 48
_SEVERAL: Final = 255
_CELLS_PER_NAME: Final = 8
_MAX_LABELS: Final = 65_535
_KINDS: Final = (Match.EXACT, Match.SUFFIX)

type _Label = tuple[tuple[str, ...], tuple[str, ...]]
"""Lists that carry a name exactly, and lists that carry all below it too."""
type Buffer = Any
"""bytes or mmap: what both can do is slicing to bytes, and memoryview."""


class Sliced(Protocol):
    """Octets of which a slice is bytes."""

    def __getitem__(self, part: slice, /) -> bytes: ...


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
    ordered.sort(key=lambda name: _hash(name) & (buckets - 1))
    numbers = array("H", map(names.__getitem__, ordered))
    names.clear()  # a hundred megabytes for a million names, and the rest needs room
    hashes = array("I", map(_hash, ordered))
    parts = {
        "roots": _cells(map(_root, ordered), buckets * _CELLS_PER_NAME),
        "cells": _cells(hashes, buckets * _CELLS_PER_NAME),
        "starts": _starts(hashes, buckets),
        "offsets": _offsets(ordered),
        "labels": numbers,
        "names": b"".join(ordered),
    }
    depths = {name.count(b".") + 1 for name in ordered}
    header = {
        "labels": list(gathered.labels),
        "globs": list(gathered.globs),
        "counts": gathered.counts,
        "about": dict(about),
        "shortest": min(depths, default=0),
        "deepest": max(depths, default=1),
        "order": sys.byteorder,
    }
    yield from _written(parts, header)


@dataclass(slots=True)
class _Gathered:
    """Each name once, with the number of its label: which lists carry it as what; labels repeat, so they are few."""

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
        name = pattern.text.encode()
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


def _hash(name: bytes) -> int:
    value = 0
    for label in reversed(name.split(b".")):
        value = crc32(label, value)
    return value


def _root(name: bytes) -> int:
    return _hash(b".".join(name.rsplit(b".", 2)[-2:]))


def _tag(value: int) -> int:
    return (value >> 24) % 254 + 1


def _cells(values: Iterable[int], count: int) -> bytearray:
    cells = bytearray(count)
    for value in values:
        place, tag = value & (count - 1), _tag(value)
        cells[place] = tag if cells[place] in (0, tag) else _SEVERAL
    return cells


def _starts(values: Iterable[int], buckets: int) -> array[int]:
    counts = array("I", bytes(4 * (buckets + 1)))
    for value in values:
        counts[(value & (buckets - 1)) + 1] += 1
    for bucket in range(buckets):
        counts[bucket + 1] += counts[bucket]
    return counts


def _offsets(names: Iterable[bytes]) -> array[int]:
    offsets, end = array("I", [0]), 0
    for name in names:
        end += len(name)
        offsets.append(end)
    return offsets


def _written(parts: Mapping[str, Any], header: dict[str, Any]) -> Iterator[bytes | memoryview]:
    pieces = {name: memoryview(part).cast("B") for name, part in parts.items()}
    sizes = {name: len(piece) for name, piece in pieces.items()}
    text = json.dumps({**header, "sizes": sizes}).encode()
    body: list[bytes | memoryview] = [len(text).to_bytes(8, "little"), _aligned(text)]
    for piece in pieces.values():
        body += [piece, bytes(-len(piece) % 8)]
    digest = sha256()
    for part in body:
        digest.update(part)
    yield MAGIC + digest.digest()
    yield from body


def _aligned(octets: bytes) -> bytes:
    return octets + b" " * (-len(octets) % 8)


class PackedIndex:
    """Immutable; ``buffer`` is bytes or a memory map, and stays as it is for as long as this is used."""

    def __init__(self, buffer: Buffer, *, check: bool = True) -> None:
        header, start = _header(buffer, check=check)
        self.about: Final[Mapping[str, Any]] = header["about"]
        """What was kept beside the entries."""
        self.counts: Final[Mapping[str, int]] = header["counts"]
        """Entries of each list."""
        self._labels: Final[list[list[list[str]]]] = header["labels"]
        self._listed_globs: Final[list[list[str]]] = header["globs"]
        self._globs: Final = DomainIndex((Pattern(text, Match.GLOB), value) for text, value in self._listed_globs)
        self._has_globs: Final = bool(header["globs"])
        self._has_short: Final[bool] = header["shortest"] == 1
        self._deepest: Final[int] = header["deepest"]
        places, view = _places(header["sizes"], start), memoryview(buffer)
        if places["names"][1] > len(view):
            raise DamagedIndex("the index is shorter than it says")
        self._roots: Final = view[slice(*places["roots"])]
        self._cells: Final = view[slice(*places["cells"])]
        self._starts: Final = view[slice(*places["starts"])].cast("I")
        self._offsets: Final = view[slice(*places["offsets"])].cast("I")
        self._label_of: Final = view[slice(*places["labels"])].cast("H")
        self._names: Final = places["names"][0]
        self._octets: Final[Sliced] = buffer
        self._cell_mask: Final = len(self._cells) - 1
        self._bucket_mask: Final = len(self._starts) - 2

    def __len__(self) -> int:
        return len(self._label_of)

    def lookup(self, name: DomainName) -> list[list[str]]:
        """All lists that cover the name, in the groups and the order of ``DomainIndex.lookup``."""
        octets = name.text.encode()
        parts = octets.rsplit(b".", 2)
        if self._has_short or len(parts) == 1:
            return self._groups(name, octets, octets.split(b"."), 0, -1)
        value = crc32(parts[-2], crc32(parts[-1]))
        if (tag := self._roots[value & self._cell_mask]) and (tag == (value >> 24) % 254 + 1 or tag == _SEVERAL):
            labels = octets.rsplit(b".", self._deepest)[-self._deepest :]
            return self._groups(name, octets, labels[:-1], crc32(parts[-1]), len(parts[-1]))
        return self._glob_groups(name)

    def covers(self, name: DomainName) -> bool:
        """Whether any entry covers the name."""
        return bool(self.lookup(name))

    def patterns_of(self, lists: frozenset[str]) -> Iterator[Pattern]:
        """Every pattern of these lists, in no order that means anything."""
        ours = [[any(Filed.read(text).list in lists for text in kind) for kind in label] for label in self._labels]
        for number, label in enumerate(self._label_of):
            exact, suffix = ours[label]
            if exact or suffix:
                start, end = self._offsets[number : number + 2]
                text = self._octets[self._names + start : self._names + end].decode()
                yield from (Pattern(text, match) for match, ours_ in zip(_KINDS, (exact, suffix), strict=True) if ours_)
        yield from (Pattern(text, Match.GLOB) for text, value in self._listed_globs if Filed.read(value).list in lists)

    def _groups(self, name: DomainName, octets: bytes, labels: list[bytes], value: int, length: int) -> list[list[str]]:
        """From the last of these labels to the first; those after them have this hash and length together."""
        cells, mask = self._cells, self._cell_mask
        found: list[list[str]] = []
        for label in reversed(labels):
            value = crc32(label, value)
            length += len(label) + 1
            if (tag := cells[value & mask]) and (tag == (value >> 24) % 254 + 1 or tag == _SEVERAL):
                exact, suffix = self._labels[self._find(value, octets[-length:])]
                if length == len(octets):
                    return [group for group in (exact, suffix, *self._glob_groups(name), *reversed(found)) if group]
                if suffix:
                    found.append(suffix)
        return [*self._glob_groups(name), *reversed(found)]

    def _glob_groups(self, name: DomainName) -> list[list[str]]:
        return self._globs.lookup(name) if self._has_globs else []

    def _find(self, value: int, name: bytes) -> int:
        """Number of the labels of a name; 0: it has none."""
        bucket = value & self._bucket_mask
        low, high = self._starts[bucket], self._starts[bucket + 1]
        while low < high:
            middle = (low + high) // 2
            there = self._octets[self._names + self._offsets[middle] : self._names + self._offsets[middle + 1]]
            if there == name:
                return self._label_of[middle]
            if there < name:
                low = middle + 1
            else:
                high = middle
        return 0


def _header(buffer: Buffer, *, check: bool) -> tuple[dict[str, Any], int]:
    """The header, and where the parts begin; raises DamagedIndex."""
    if bytes(buffer[:8]) != MAGIC or len(buffer) < _HEADER:
        raise DamagedIndex("this is no index, or one of another version")
    with memoryview(buffer) as view:
        if check and sha256(view[_CHECKED:]).digest() != bytes(view[8:_CHECKED]):
            raise DamagedIndex("the index is damaged: its digest does not hold")
    length = int.from_bytes(buffer[_CHECKED:_HEADER], "little")
    try:
        header = json.loads(bytes(buffer[_HEADER : _HEADER + length]))
    except ValueError:
        raise DamagedIndex("the index is damaged: its header cannot be read") from None
    if header["order"] != sys.byteorder:
        raise DamagedIndex("the index was made on another kind of machine")
    return header, _HEADER + length + (-length % 8)


def _places(sizes: Mapping[str, int], start: int) -> dict[str, tuple[int, int]]:
    places: dict[str, tuple[int, int]] = {}
    for name, size in sizes.items():
        places[name] = (start, start + size)
        start += size + (-size % 8)
    return places
