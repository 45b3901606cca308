"""How long it takes to make one block page: `python benchmarks/page_time.py`."""

from __future__ import annotations

import sys
import time
import timeit
from datetime import timedelta
from functools import partial
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from tests.support.builders import DEEPSEEK, NOON, policy, request, rule, segment

from sumun.model.decision import Decision
from sumun.model.organisation import Organisation
from sumun.model.text import Text
from sumun.model.verdict import DataExposed
from sumun.pages.offer import Ask, Offer
from sumun.pages.render import Asked, render

_NAME = "chat.deepseek.com"


def page_time() -> float:
    """Milliseconds of processor time for the form that a browser gets, with a way to ask for review."""
    asked = Asked(_NAME, "/", "GET", accept="text/html", accept_language="ko, en")
    where = segment("bench", "127.0.0.0/8", rules=[rule("no-deepseek", "block", services=["deepseek"])])
    decision = policy(where, services=[DEEPSEEK]).decide(request("127.0.0.1", _NAME), at=NOON)
    assert isinstance(decision, Decision)
    organisation = Organisation(Text.of("Example Ministry"), "it@example.test")
    made = partial(
        render, asked, decision, segment=where, organisation=organisation, incident="0123-4567-89AB", at=NOON,
        data_exposed=DataExposed.NONE, offer=Offer(Ask.REVIEW, "." * 400, timedelta()),
    )  # fmt: skip
    return min(timeit.repeat(made, number=100, repeat=10, timer=time.process_time)) * 10


if __name__ == "__main__":
    print(f"{page_time():.2f} ms")
