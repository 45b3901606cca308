"""What an answer of the filter costs: processor time of one rendering, in every form.

    python -m benchmarks.pages

Processor time of this process, user and system, the least of five rounds: what else runs on the machine adds to it and
never takes away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

from sumun.model.decision import Decision, Reason
from sumun.model.logo import MAX_LOGO, Logo
from sumun.model.organisation import Organisation
from sumun.model.rule import Action, Rule
from sumun.model.segment import Segment
from sumun.model.service import Service
from sumun.model.text import Text
from sumun.model.verdict import DataExposed
from sumun.pages.asked import Asked
from sumun.pages.offer import Ask, Offer
from sumun.pages.render import render

ROUNDS, TIMES = 5, 400
AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
WORDS = Text.of(
    {"en": "Generative AI keeps what is typed into it. " * 5, "ko": "생성형 AI는 입력한 내용을 보관합니다. " * 5}
)
RULE = Rule(id="no-generative-ai", action=Action.BLOCK, reason=WORDS, reference="Notice 2025-02", authority="Office")
SERVICE = Service("chat", Text.of("Chat"), "Vendor", "US", "chat-assistant", ())
SEGMENT = Segment("office", (ip_network("10.0.0.0/8"),), notice=WORDS, title=WORDS)
ORGANISATION = Organisation(Text.of("Example Ministry"), "help@ministry.example")
FIRST = "block, page, the first with its words"
CASES: dict[str, tuple[Action, dict[str, str], bool]] = {
    "block, page": (Action.BLOCK, {"accept": BROWSER}, False),
    FIRST: (Action.BLOCK, {"accept": BROWSER}, False),
    "block, page in Korean": (Action.BLOCK, {"accept": BROWSER, "accept_language": "ko-KR,ko;q=0.9"}, False),
    "block, page with a logo of 8 KiB": (Action.BLOCK, {"accept": BROWSER}, True),
    "warn, page": (Action.WARN, {"accept": BROWSER}, False),
    "justify, page": (Action.JUSTIFY, {"accept": BROWSER}, False),
    "block, error of an API": (Action.BLOCK, {"accept": "application/json"}, False),
    "block, gRPC": (Action.BLOCK, {"content_type": "application/grpc"}, False),
    "block, empty image": (Action.BLOCK, {"fetch_dest": "image"}, False),
}


def rendering(action: Action, fields: dict[str, str], logo: bool, *, first: bool = False) -> Callable[[], int]:
    """``first``: none of the words was met before."""
    asks = {Action.WARN: Ask.ACKNOWLEDGE, Action.JUSTIFY: Ask.JUSTIFY}
    offer = Offer(asks.get(action, Ask.REVIEW), "t" * 400, timedelta(hours=8))
    decision = Decision(action, Reason.RULE, "office", SERVICE, replace(RULE, action=action))
    theirs = replace(ORGANISATION, logo=Logo.of("image/png", b"x" * MAX_LOGO)) if logo else ORGANISATION
    asked = Asked("chat.service.example", "/v1/chat/completions", "GET", **fields)

    def once() -> int:
        page = render(
            asked, decision, segment=SEGMENT, organisation=replace(theirs) if first else theirs,
            incident="1KA8-PGF8-T1V3-2R40", at=AT, data_exposed=DataExposed.NONE, offer=offer,
        )  # fmt: skip
        return len(page.body)

    return once


def cost(once: Callable[[], int]) -> float:
    """Milliseconds of processor time for one."""
    once()
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(TIMES):
            once()
        rounds.append((time.process_time() - before) / TIMES * 1000)
    return min(rounds)


def main() -> None:
    print("| answer | ms | octets |\n|---|---|---|")
    for name, case in CASES.items():
        once = rendering(*case, first=name == FIRST)
        print(f"| {name} | {cost(once):.3f} | {once():,} |")


if __name__ == "__main__":
    main()
