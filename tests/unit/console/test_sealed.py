from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.console.sealed import Broken, Seals
from tests.support.builders import NOON

KEY = b"k" * 32
HOUR = timedelta(hours=1)
SEALS = Seals(KEY)


@given(st.lists(st.text(max_size=50).filter(str.isprintable), max_size=4))
def test_what_is_sealed_is_read_again(texts: list[str]) -> None:
    sealed = SEALS.seal("form", "127.0.0.1", NOON + HOUR, *texts)
    assert SEALS.unseal(sealed, "form", "127.0.0.1", NOON) == tuple(texts)
    assert sealed.isascii()


@pytest.mark.parametrize(
    ("purpose", "client", "after"),
    [("done", "127.0.0.1", 0), ("form", "127.0.0.2", 0), ("form", "127.0.0.1", 3600)],
    ids=["another purpose", "another client", "too late"],
)
def test_for_anything_else_it_is_broken(purpose: str, client: str, after: int) -> None:
    sealed = SEALS.seal("form", "127.0.0.1", NOON + HOUR, "x")
    assert SEALS.unseal(sealed, "form", "127.0.0.1", NOON + HOUR - timedelta(seconds=1)) == ("x",), "the control"
    with pytest.raises(Broken):
        SEALS.unseal(sealed, purpose, client, NOON + timedelta(seconds=after))


@pytest.mark.parametrize(
    "change",
    [
        lambda _: "", lambda _: ".", lambda text: text[:-2] + ("AA" if text[-2:] != "AA" else "BB"),
        lambda text: "A" + text[1:], lambda text: text + ".", lambda text: text.partition(".")[0],
        lambda text: text + "\ud800", lambda _: "x" * 100_000,
    ],
    ids=["none", "a dot", "signature", "payload", "another dot", "no signature", "a surrogate", "long"],
)  # fmt: skip
def test_what_was_changed_is_broken(change: Callable[[str], str]) -> None:
    with pytest.raises(Broken):
        SEALS.unseal(change(SEALS.seal("form", "127.0.0.1", NOON + HOUR, "x")), "form", "127.0.0.1", NOON)


@given(st.text(max_size=200))
def test_noise_is_broken(text: str) -> None:
    with pytest.raises(Broken):
        SEALS.unseal(text, "form", "127.0.0.1", NOON)


def test_another_key_makes_other_seals() -> None:
    with pytest.raises(Broken):
        SEALS.unseal(Seals(b"j" * 32).seal("form", "127.0.0.1", NOON + HOUR), "form", "127.0.0.1", NOON)
