"""The buffer of a packed index: what it keeps, and what is noticed when it is damaged."""

from __future__ import annotations

import mmap
from itertools import count, islice
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.packed_index import DamagedIndex, PackedIndex, pack
from tests.support.reference import covers

ENTRIES = [(Pattern(f"n{n}.example"), "far") for n in range(1000)] + [
    (Pattern("n1.example"), "near"),
    (Pattern("n1.example", Match.EXACT), "far"),
    (Pattern("*-x.n2.example", Match.GLOB), "near"),
]
OCTETS = b"".join(pack(ENTRIES, {"lists": {"far": 1}}))


def packed(names: list[str]) -> PackedIndex:
    """Each name on a list of its own name, with all below it."""
    return PackedIndex(b"".join(pack([(Pattern(name), name) for name in names], {})))


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
    assert len(set(index.patterns_of(frozenset({"far"})))) == 1001


@pytest.mark.parametrize("place", [*range(0, 64, 7), 200, len(OCTETS) // 2, len(OCTETS) - 1])
def test_a_changed_octet_is_noticed(place: int) -> None:
    changed = bytearray(OCTETS)
    changed[place] ^= 1
    with pytest.raises(DamagedIndex):
        PackedIndex(bytes(changed))


@pytest.mark.parametrize("octets", [b"", b"sumunix3", OCTETS[:100], OCTETS[:-8], b"sumunix2" + OCTETS[8:]])
def test_what_is_cut_off_or_of_another_version_is_noticed(octets: bytes) -> None:
    with pytest.raises(DamagedIndex):
        PackedIndex(octets)


def test_a_list_made_to_collide_is_searched_all_the_same() -> None:
    """Names of one bucket, as whoever writes a list can choose them, since CRC-32 keeps no secret."""
    found = (name for n in count() if not crc32(name := b"host-%d.collision.example" % n) & 0x3FF)
    names = [name.decode() for name in islice(found, 300)]
    listed, others = names[:256], names[256:]
    index = packed(listed)
    assert len(index._starts) == 0x400 + 1
    assert ~index._starts[1] - index._starts[0] > 4096
    assert all(index.lookup(DomainName(f"a.{name}")) == [[name]] for name in listed)
    assert not any(index.covers(DomainName(name)) for name in [*others, *(f"x{name}" for name in listed)])


def test_the_root_is_on_no_list() -> None:
    """Not even where the bucket that it would be in has a record with a long number."""
    last = next(f"n{n}" for n in count(150) if not crc32(f"n{n}".encode()) & 0x1FF)
    index = packed([*(f"n{n}" for n in range(150)), last])
    assert (len(index._starts), index._starts[0] > 0) == (0x200 + 1, True)
    assert index.lookup(DomainName("")) == []
    assert index.lookup(DomainName(f"a.{last}")) == [[last]]


def test_names_of_the_very_same_hash_are_told_apart() -> None:
    known: dict[int, str] = {}
    pairs = [
        (name, other)
        for n in range(200_000)
        if (other := known.setdefault(crc32((name := f"h{n * n}.t{n}.example").encode()), name)) != name
    ]
    assert pairs
    for listed, other in pairs:
        index = packed([listed])
        assert index.covers(DomainName(listed))
        assert not index.covers(DomainName(other))
        assert packed([listed, other]).lookup(DomainName(f"a.{other}")) == [[other]]


def test_names_of_one_bucket_that_begin_or_end_with_each_other_are_told_apart() -> None:
    """The longer name stands first or second, and what is asked for is part of it."""

    def beside(make: str) -> str:
        mask, wanted = 0x1F, crc32(b"b.example")
        return next(name for n in count() if not (crc32((name := make.format(n)).encode()) ^ wanted) & mask)

    inside = [beside("a{}.b.example"), beside("x{}b.example"), beside("b.example{}"), beside("b.example{}.test")]
    for longer in inside:
        index = packed([longer])
        assert not index.covers(DomainName("b.example"))
        assert index.lookup(DomainName(longer)) == [[longer]]
    index = packed([*inside, "b.example"])
    assert len(index._starts) == 0x20 + 1
    assert index.lookup(DomainName("c.b.example")) == [["b.example"]]
    assert index.lookup(DomainName(inside[0])) == [[inside[0]], ["b.example"]]
    assert all(index.lookup(DomainName(name)) == [[name]] for name in inside[1:])


texts = st.lists(st.sampled_from(["a", "b", "ab", "-"]), min_size=1, max_size=12).map(".".join)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(texts, st.sampled_from([Match.EXACT, Match.SUFFIX]), max_size=40),
    st.lists(texts, min_size=1, max_size=10),
    st.data(),
)
def test_agrees_with_a_scan_at_any_depth(listed: dict[str, Match], asked: list[str], data: st.DataObject) -> None:
    """The longest first; of names that are listed, that stand below them, and that have nothing to do with them."""
    patterns = [Pattern(text, match) for text, match in listed.items()]
    index = PackedIndex(b"".join(pack([(pattern, pattern.text) for pattern in patterns], {})))
    below = [f"{data.draw(texts)}.{text}" for text in listed][:5]
    for text in [*asked, *listed, *below]:
        name = DomainName(text)
        expected = sorted((p.text for p in patterns if covers(p, name)), key=len, reverse=True)
        assert index.lookup(name) == [[text] for text in expected]


def test_a_name_of_very_many_labels_is_answered() -> None:
    deep = ".".join("a" for _ in range(120))
    index = packed(["b.a.a", f"c.{deep}", "a.a.a.a.a.a.a.a.a"])
    assert index.lookup(DomainName(f"x.c.{deep}")) == [[f"c.{deep}"], ["a.a.a.a.a.a.a.a.a"]]
    assert index.lookup(DomainName(f"{deep}.{deep}.test")) == []


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
