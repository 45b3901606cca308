"""One decision and the ways to ask for it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sumun.model.decision import Decision, Reason
from sumun.model.organisation import Organisation
from sumun.model.rule import Action
from sumun.model.schedule import Schedule
from sumun.model.text import Text
from sumun.model.verdict import DataExposed
from sumun.pages.render import Asked, Failure, Page, render, render_failure
from sumun.pages.story import Case, Story, tell_decision
from tests.support.builders import DEEPSEEK, NOON, rule, segment

INCIDENT = "1KA8-PGF8-T1V3-2R40"
ORGANISATION = Organisation(Text.of({"en": "Example Ministry", "ko": "예시부"}), "help@ministry.example")
SEGMENT = segment(
    "military-use", "10.20.0.0/16", title=Text.of({"en": "Military-use network", "ko": "군 업무용 인터넷망"})
)
RULE = rule(
    "no-generative-ai",
    "block",
    reason=Text.of({
        "en": "Generative AI keeps what is typed into it outside our control.\nUse the approved assistant instead.",
        "ko": "생성형 AI는 입력한 내용을 우리 기관이 관리할 수 없는 곳에 보관합니다.\n승인된 AI 도구를 이용해 주세요.",
    }),
    reference="Security notice 2025-02, section 3",
    authority="Ministry of Example",
    schedule=Schedule(until=NOON + timedelta(days=30)),
)  # fmt: skip
BLOCKED = Decision(
    Action.BLOCK, Reason.RULE, "military-use", replace(DEEPSEEK, title=Text.of("DeepSeek")), RULE, policy_revision="r1"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


def asked(host: str = "chat.deepseek.com", path: str = "/", method: str = "GET", **more: str) -> Asked:
    return Asked(host, path, method, **more)


def answer(what: Asked, decision: Decision = BLOCKED, **more: Any) -> Page:
    arguments: dict[str, Any] = {
        "segment": SEGMENT, "organisation": ORGANISATION, "incident": INCIDENT, "at": NOON,
        "data_exposed": DataExposed.NONE,
    } | more  # fmt: skip
    return render(what, decision, **arguments)


def failure(what: Asked, kind: Failure, **more: Any) -> Page:
    arguments: dict[str, Any] = {"organisation": ORGANISATION, "incident": INCIDENT, "at": NOON} | more
    return render_failure(what, kind=kind, **arguments)


def shown(decision: Decision = BLOCKED, language: str = "en", **more: Any) -> str:
    """The page as a browser gets it."""
    what = asked(accept=BROWSER, accept_language=language, fetch_dest="document")
    return answer(what, decision, **more).body.decode()


def told(decision: Decision = BLOCKED, language: str = "en", organisation: Organisation = ORGANISATION) -> Story:
    case = Case.of(asked(), organisation, INCIDENT, NOON, SEGMENT)
    return tell_decision(case, language, decision, data_exposed=DataExposed.NONE)


def fields(page: Page) -> dict[str, str]:
    found = dict(page.headers)
    assert len(found) == len(page.headers), "a header field stands twice"
    return found


def data(page: Page) -> Any:
    assert fields(page)["content-type"] == "application/json"
    return json.loads(page.body)
