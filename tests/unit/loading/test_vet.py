"""What counts as on a list when the next version is judged."""

from __future__ import annotations

import pytest

from sumun.catalogue.guard import NOBODY
from sumun.config.settings import ListSource
from sumun.loading.fetch import Fetched
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.record import Record
from sumun.loading.vet import count, vet

NAMES = "".join(f"||n{n}.a.example^\n" for n in range(300))


@pytest.mark.parametrize(
    ("text", "entries", "refused"),
    [
        (NAMES, 300, 0),
        (NAMES + "||n7.a.example^\n||n8.a.example^$dnstype=A\n", 300, 1),
        (NAMES + "@@||n7.a.example^\n@@||b.example^\n", 299, 0),
        (NAMES + "@@||a.example^\n", 0, 0),
        (NAMES + "@@||a.example^\n||n7.a.example^$important\n", 1, 0),
        (NAMES + "@@||a.example^\n||n700.a.example^$important\n", 1, 0),
        (NAMES + "@@||a.example^$important\n||n700.a.example^$important\n", 0, 0),
        (NAMES + "||n7.a.example^$denyallow=x.n7.a.example\n", 300, 0),
    ],
)
def test_what_is_carried_is_counted_once(text: str, entries: int, refused: int) -> None:
    assert count(text, "adblock", NOBODY) == (entries, refused)


@pytest.mark.parametrize(
    ("more", "outcome"),
    [("@@||a.example^\n||b.example^\n", Outcome.SHRANK), ("@@||a.example^\n", Outcome.EMPTY)],
)
def test_a_version_that_excepts_what_it_lists_has_shrunk(more: str, outcome: Outcome) -> None:
    """Guards the check of sizes: nobody can empty a list by one line at its end."""
    source = ListSource("far", "adblock", url="https://lists.example/far.txt")
    fetched = Fetched((NAMES + more).encode(), "text/plain")
    with pytest.raises(NotTaken) as caught:
        vet(fetched, source, NOBODY, Record(sha256="0" * 64, entries=300))
    assert caught.value.outcome is outcome
