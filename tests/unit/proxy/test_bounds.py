import pytest

from sumun.proxy.bounds import BoundedBuffer


def test_a_body_within_the_bound_is_kept() -> None:
    buffer = BoundedBuffer(4, lambda: pytest.fail("cut"))
    buffer += b"ab"
    buffer += b"cd"
    assert (bytes(buffer), buffer.overflowed, len(buffer)) == (b"abcd", False, 4)


def test_a_longer_one_is_thrown_away_as_it_comes() -> None:
    cuts: list[int] = []
    buffer = BoundedBuffer(4, lambda: cuts.append(1), discard=10)
    for _ in range(5):
        buffer += b"ab"
        assert len(buffer) <= 4
    assert (bytes(buffer), buffer.overflowed, cuts) == (b"", True, [])
    buffer += b"c"
    assert cuts == [1]
