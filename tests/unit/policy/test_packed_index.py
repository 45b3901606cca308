"""The buffer of a packed index: what it keeps, and what is noticed when it is damaged."""

from __future__ import annotations

import mmap
from itertools import count, islice, pairwise
from pathlib import Path
from zlib import crc32

import pytest

from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.packed_index import DamagedIndex, PackedIndex, pack

ENTRIES = [(Pattern(f"n{n}.example"), "far") for n in range(1000)] + [
    (Pattern("n1.example"), "near"),
    (Pattern("n1.example", Match.EXACT), "far"),
    (Pattern("*-x.n2.example", Match.GLOB), "near"),
]
OCTETS = b"".join(pack(ENTRIES, {"lists": {"far": 1}}))


def test_what_is_kept_beside_the_entries_comes_back() -> None:
    index = PackedIndex(OCTETS)
    assert (len(index), index.about) == (1000, {"lists": {"far": 1}})


def test_lists_share_names() -> None:
    index = PackedIndex(OCTETS)
    assert index.lookup(DomainName("n1.example")) == [["far"], ["far", "near"]]
    assert index.lookup(DomainName("a-x.n2.example")) == [["near"], ["far"]]
    assert index.lookup(DomainName("example")) == index.lookup(DomainName("n1000.example")) == []


def test_what_is_on_a_list_can_be_listed() -> None:
    index = PackedIndex(OCTETS)
    assert set(index.patterns_of(frozenset({"near"}))) == {Pattern("n1.example"), Pattern("*-x.n2.example", Match.GLOB)}
    far = list(index.patterns_of(frozenset({"far", "other"})))
    assert len(far) == len(set(far)) == 1001
    assert list(index.patterns_of(frozenset())) == []


def test_what_is_on_a_list_of_many_kinds_can_be_listed_too() -> None:
    entries = [(Pattern(f"n{n}.example", m), f"l{n}") for n in range(300) for m in (Match.EXACT, Match.SUFFIX)]
    index = PackedIndex(b"".join(pack(entries, {})))
    for n in (0, 254, 255, 299):
        found = set(index.patterns_of(frozenset({f"l{n}"})))
        assert found == {Pattern(f"n{n}.example", Match.EXACT), Pattern(f"n{n}.example")}


def test_every_name_is_found_and_no_other() -> None:
    index = PackedIndex(OCTETS)
    assert all(index.covers(DomainName(f"a.b.c.n{n}.example")) for n in range(1000))
    assert not any(index.covers(DomainName(f"n{n}.example")) for n in range(1000, 9000))


def test_the_same_entries_give_the_same_octets_and_an_empty_index_answers() -> None:
    assert b"".join(pack(reversed(ENTRIES[:1000]), {})) == b"".join(pack(ENTRIES[:1000], {}))
    assert PackedIndex(b"".join(pack([], {}))).lookup(DomainName("a.example")) == []


def test_it_is_used_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_bytes(OCTETS)
    with path.open("rb") as file:
        index = PackedIndex(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    assert index.covers(DomainName("n999.example"))


@pytest.mark.parametrize("place", [*range(0, 64, 7), 200, len(OCTETS) // 2, len(OCTETS) - 1])
def test_a_changed_octet_is_noticed(place: int) -> None:
    changed = bytearray(OCTETS)
    changed[place] ^= 1
    with pytest.raises(DamagedIndex):
        PackedIndex(bytes(changed))


@pytest.mark.parametrize("octets", [b"", b"sumunix2", OCTETS[:100], OCTETS[:-8], b"sumunix0" + OCTETS[8:]])
def test_what_is_cut_off_or_of_another_version_is_noticed(octets: bytes) -> None:
    with pytest.raises(DamagedIndex):
        PackedIndex(octets)


def test_a_list_made_to_collide_is_searched_all_the_same() -> None:
    """Names of one bucket, as whoever writes a list can choose them, since CRC-32 keeps no secret."""
    found = (name for n in count() if not crc32(b".%b\0" % (name := b"host-%d.collision.example" % n)) & 0x1FF)
    names = [name.decode() for name in islice(found, 256)]
    index = PackedIndex(b"".join(pack([(Pattern(name), "l") for name in names], {})))
    assert max(b - a for a, b in pairwise(index._starts)) > 4096
    assert all(index.lookup(DomainName(f"a.{name}")) == [["l"]] for name in names)
    assert not any(index.covers(DomainName(f"x{name}")) for name in names)


def test_more_sets_of_lists_than_an_octet_can_number() -> None:
    entries = [(Pattern(f"n{n}.example"), f"list-{n}") for n in range(600)]
    index = PackedIndex(b"".join(pack(entries, {})))
    assert all(index.lookup(DomainName(f"n{n}.example")) == [[f"list-{n}"]] for n in range(600))


@pytest.mark.parametrize("labels", [1, 2, 3, 8, 9, 10, 40])
def test_names_of_any_depth(labels: int) -> None:
    listed = ".".join(f"l{n}" for n in range(labels))
    index = PackedIndex(b"".join(pack([(Pattern(listed), "l"), (Pattern("other.example"), "l")], {})))
    assert index.lookup(DomainName(listed)) == index.lookup(DomainName(f"a.b.{listed}")) == [["l"]]
    assert not index.covers(DomainName(f"x{listed}"))
    assert not index.covers(DomainName(listed.partition(".")[2]))
