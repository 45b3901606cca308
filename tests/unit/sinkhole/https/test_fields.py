"""Header fields: the short way reads what the general decoder reads, or leaves it to that."""

from __future__ import annotations

import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.sinkhole.https.fields import FieldFault, FieldReader, unhuffed, well_formed

NAMES = st.sampled_from([b":method", b":path", b":scheme", b"accept", b"user-agent", b"x-one", b"cookie"])
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=200), st.sampled_from(["index", "never"])), max_size=8)


def library(text: bytes) -> bytes | None:
    try:
        return decode_huffman(text)
    except hpack.HPACKDecodingError:
        return None


@given(st.binary(max_size=60))
@settings(deadline=None)  # the table is made when it is first used
def test_huffman_is_read_as_the_library_reads_it(octets: bytes) -> None:
    encoded = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(octets)
    assert unhuffed(encoded) == octets
    assert unhuffed(octets) == library(octets)
    assert unhuffed(encoded[:-1]) == library(encoded[:-1])


@given(st.lists(FIELDS, max_size=6), st.booleans())
@settings(deadline=None)  # as above
def test_blocks_of_a_connection_are_read_in_turn(blocks: list[list[tuple[bytes, bytes, str]]], huffman: bool) -> None:
    """Tables are shared by the short way and the general one, so the order of both does not matter."""
    encoder, reader = hpack.Encoder(), FieldReader()
    for fields in blocks:
        tuples = [
            hpack.HeaderTuple(name, value) if how == "index" else hpack.NeverIndexedHeaderTuple(name, value)
            for name, value, how in fields
        ]
        assert reader.read(encoder.encode(tuples, huffman=huffman)) == [(n, v) for n, v, _ in fields]


@given(st.lists(st.binary(max_size=60), max_size=4))
@settings(deadline=None)  # as above
def test_garbage_is_read_alike_or_refused_by_both(blocks: list[bytes]) -> None:
    reader, general = FieldReader(), hpack.Decoder(max_header_list_size=16_384)
    for block in blocks:
        try:
            expected = [(bytes(n), bytes(v)) for n, v in general.decode(block, raw=True)]
        except hpack.HPACKError:
            with pytest.raises(FieldFault):
                reader.read(block)
            return
        assert reader.read(block) == expected


@given(st.lists(st.tuples(st.binary(max_size=200), st.booleans()), min_size=4, max_size=8), st.booleans())
@settings(deadline=None)  # as above
def test_a_path_among_the_same_fields_is_read_alone(requests: list[tuple[bytes, bool]], huffman: bool) -> None:
    """The first request fills the tables; any may bring a field of its own, and the next then has to be read."""
    encoder, reader = hpack.Encoder(), FieldReader()
    alike = False
    for number, (path, other) in enumerate(requests):
        fields = [
            hpack.HeaderTuple(b":method", b"GET"),
            hpack.NeverIndexedHeaderTuple(b":path", path),
            hpack.HeaderTuple(b"user-agent", b"%d" % number if other else b"the same"),
        ]
        block = encoder.encode(fields, huffman=huffman)
        found = reader.path(block)
        assert found in ([path, None] if alike else [None])
        assert found == path or other or not alike or len(path) > 150
        before = list(encoder.header_table.dynamic_entries)
        if found is None:
            assert reader.read(block) == [(bytes(n), bytes(v)) for n, v in fields]
            alike = reader.path(block) is not None
        assert before == list(encoder.header_table.dynamic_entries)


@given(st.lists(st.binary(max_size=30), max_size=6), st.binary(max_size=30))
@settings(deadline=None)  # as above
def test_a_path_is_never_read_alone_where_the_whole_says_otherwise(blocks: list[bytes], last: bytes) -> None:
    reader, known = FieldReader(), b"\x82\x87"
    for block in (known + b"\x04\x01/", *blocks, known + b"\x04\x02/x"):
        try:
            fields = reader.read(block)
        except FieldFault:
            return
    for tail in (b"\x04" + last, last):
        path = reader.path(known + tail)
        if path is not None:
            assert reader.read(known + tail) == [*fields[:2], (b":path", path)]


def test_a_bomb_is_refused() -> None:
    """A large field put into the table once, and named a thousand times."""
    bomb = b"\x40\x01a\x7f\xa1\x1e" + b"b" * 4000 + b"\xbe" * 1000
    with pytest.raises(FieldFault):
        FieldReader().read(bomb)


@pytest.mark.parametrize(
    ("names", "sound"),
    [
        ((b":method", b":scheme", b":path"), True),
        ((b":method", b":scheme", b":authority", b":path", b"accept"), True),
        ((b":method", b":scheme"), False),
        ((b":method", b":scheme", b":path", b":path"), False),
        ((b":method", b":scheme", b"accept", b":path"), False),
        ((b":method", b":scheme", b":path", b":status"), False),
        ((b":method", b":scheme", b":path", b"Accept"), False),
        ((b":method", b":scheme", b":path", b""), False),
        ((b":method", b":scheme", b":path", b"transfer-encoding"), False),
        ((b":method", b":scheme", b":path", *[b"x"] * 64), False),
    ],
)
def test_which_fields_a_request_may_have(names: tuple[bytes, ...], sound: bool) -> None:
    assert well_formed(names) is sound
