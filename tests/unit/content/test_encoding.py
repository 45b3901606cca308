from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]  # it has no types
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sumun.content.encoding import decoded

LIMIT = 100_000


def raw_deflate(body: bytes) -> bytes:
    pack = zlib.compressobj(wbits=-15)
    return pack.compress(body) + pack.flush()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("name", PACK)
@given(body=st.binary(max_size=2000))
def test_what_was_packed_is_read(name: str, body: bytes) -> None:
    assert decoded(PACK[name](body), name.upper(), LIMIT) == body


@given(st.binary(max_size=2000), st.lists(st.sampled_from(sorted(PACK)), max_size=3))
def test_one_upon_another(body: bytes, names: list[str]) -> None:
    packed = body
    for name in names:
        packed = PACK[name](packed)
    assert decoded(packed, " , ".join([*names, "identity"]), LIMIT) == body


def test_deflate_without_its_header() -> None:
    assert decoded(raw_deflate(b"hello" * 50), "deflate", LIMIT) == b"hello" * 50


@pytest.mark.parametrize("name", PACK)
def test_a_bomb_is_not_unpacked(name: str) -> None:
    bomb = PACK[name](bytes(8 * 1024 * 1024))
    assert len(bomb) < 100_000
    assert decoded(bomb, name, LIMIT) is None
    assert decoded(PACK[name](bomb), f"{name}, {name}", LIMIT) is None


@pytest.mark.parametrize("name", PACK)
def test_what_is_cut_short_or_goes_on_cannot_be_read(name: str) -> None:
    packed = PACK[name](b'{"model": "deepseek-r1"}' * 20)
    assert decoded(packed[:-3], name, LIMIT) is None
    assert decoded(packed[: len(packed) // 2], name, LIMIT) is None
    assert decoded(packed + b"more", name, LIMIT) is None
    assert decoded(b"", name, LIMIT) is None


def test_at_the_limit() -> None:
    for name, pack in PACK.items():
        assert decoded(pack(bytes(LIMIT)), name, LIMIT) == bytes(LIMIT)
        assert decoded(pack(bytes(LIMIT + 1)), name, LIMIT) is None


@pytest.mark.parametrize("names", ["compress", "aes128gcm", "gzip, unheard-of", "gzip, gzip, gzip, gzip", "gzip;q=1"])
def test_what_nobody_here_can_undo(names: str) -> None:
    assert decoded(gzip.compress(b"x"), names, LIMIT) is None


@given(st.binary(max_size=500), st.sampled_from([*PACK, "deflate, br", "zstd, gzip"]))
def test_it_takes_any_octets(body: bytes, names: str) -> None:
    decoded(body, names, 5000)
