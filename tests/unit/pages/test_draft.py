"""A page out of a draft is, octet for octet, the page made from its beginning."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.decision import Decision, Reason
from sumun.model.logo import MAX_LOGO, Logo
from sumun.model.rule import Action, Rule
from sumun.model.segment import Segment
from sumun.model.text import Text
from sumun.model.verdict import DataExposed
from sumun.pages.asked import Page
from sumun.pages.draft import Draft, Drafts
from sumun.pages.html import MAX_PAGE, page_of
from sumun.pages.offer import Answer, Ask, Offer
from sumun.pages.story import Case, passing, tell_decision
from sumun.pages.words import LANGUAGES
from tests.unit.pages.cases import BLOCKED, ORGANISATION, SEGMENT, asked

AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
INCIDENT = "1KA8-PGF8-T1V3-2R40"
SERVICE = BLOCKED.service
RULES = {
    action: Rule(
        "no-ai", action, reason=Text.of({"en": "As decided. \x01\x02", "ko": "정했습니다."}), approver="desk\x03"
    )
    for action in Action
}
ORGANISATIONS = [
    ORGANISATION,
    replace(ORGANISATION, contact="desk@ministry.example"),
    replace(ORGANISATION, contact="https://desk.example/?a=%01&b=c"),
    replace(ORGANISATION, contact="call 4711", logo=Logo.of("image/png", b"x" * 100)),
]
SEGMENTS = [
    None,
    SEGMENT,
    Segment("own", (ip_network("10.0.0.0/8"),), contact="own@ministry.example", notice=Text.of("Hm")),
]
LONG = Text.of("All of it is forbidden. " * 60)


class Pages:
    """Counts how often a page was made from its beginning."""

    def __init__(self, **more: Any) -> None:
        self.drafts, self.told = Drafts(**more), 0

    def __call__(self, decision: Decision = BLOCKED, **more: Any) -> tuple[Page, Page]:
        """Out of a draft, if there is one, and from its beginning."""
        how: dict[str, Any] = {
            "host": "chat.deepseek.com", "incident": INCIDENT, "at": AT, "segment": SEGMENT, "offer": None,
            "organisation": ORGANISATION, "language": "en", "exposed": DataExposed.NONE, **more,
        }  # fmt: skip
        case = Case.of(asked(how["host"]), how["organisation"], how["incident"], how["at"], how["segment"])

        def tell() -> Any:
            self.told += 1
            return tell_decision(case, how["language"], decision, data_exposed=how["exposed"], offer=how["offer"])

        page = self.drafts.page(
            case, decision, tell, language=how["language"], organisation=how["organisation"],
            data_exposed=how["exposed"], offer=how["offer"],
        )  # fmt: skip
        told = self.told
        whole = page_of(tell())
        self.told = told
        return page, whole


ALL = Pages()


@given(
    st.sampled_from([action for action in Action if not action.lets_through]),
    st.sampled_from(ORGANISATIONS),
    st.sampled_from(SEGMENTS),
    st.sampled_from(sorted(LANGUAGES)),
    st.one_of(st.sampled_from(["a.test", "", "<b>&\"'", "\x01\x02", "a" * 400, "[::1]:80"]), st.text(max_size=30)),
    st.one_of(st.sampled_from([INCIDENT, "", "-", "0123456789abcdef", "\x01-"]), st.text(max_size=20)),
    st.datetimes(timezones=st.just(UTC)),
    st.one_of(
        st.none(),
        st.builds(
            Offer, st.sampled_from(Ask), st.text(max_size=9), st.sampled_from([timedelta(), timedelta(hours=8)]),
            st.sampled_from(["", "desk", "\x02"]), st.sampled_from(Answer), st.booleans(), st.booleans(),
        ),
    ),
    st.booleans(),
)  # fmt: skip
def test_it_is_the_same_page(  # noqa: PLR0917 - hypothesis gives them in this order
    action: Action, organisation: Any, segment: Any, language: str, host: str, incident: str, at: datetime,
    offer: Offer | None, known: bool,
) -> None:  # fmt: skip
    decision = Decision(action, Reason.RULE, "office", SERVICE if known else None, RULES[action])
    page, whole = ALL(
        decision, organisation=organisation, segment=segment, language=language, host=host, incident=incident, at=at,
        offer=offer,
    )  # fmt: skip
    assert page == whole


def test_the_words_are_told_twice_and_never_again() -> None:
    pages = Pages()
    for n in range(5):
        page, whole = pages(host=f"{n}.deepseek.com", incident=f"1KA8-PGF8-T1V3-000{n}", at=AT + timedelta(n))
        assert page == whole
    assert pages.told == 2


@pytest.mark.parametrize(
    "other",
    [
        {"language": "ko"},
        {"segment": None},
        {"organisation": replace(ORGANISATION)},
        {"decision": replace(BLOCKED, reason=Reason.SEGMENT_DEFAULT)},
        {"decision": replace(BLOCKED, rule=Rule("other", Action.BLOCK))},
        {"exposed": DataExposed.REQUEST_BODY},
        {"offer": Offer(Ask.REVIEW, "t")},
        {"incident": "0123456789abcdef"},
    ],
    ids=str,
)
def test_other_words_are_another_draft(other: dict[str, Any]) -> None:
    pages = Pages()
    for _ in range(3):
        for how in ({}, other):
            page, whole = pages(**how)
            assert page == whole
    assert pages.told == 4


NOWHERE = replace(BLOCKED, service=None)


@pytest.mark.parametrize(
    "lacking",
    [{"host": ""}, {"incident": ""}, {"decision": NOWHERE, "offer": Offer(Ask.ACKNOWLEDGE, "t", timedelta(hours=8))}],
    ids=str,
)
def test_a_page_with_other_words_is_made_from_its_beginning(lacking: dict[str, Any]) -> None:
    pages = Pages()
    for _ in range(3):
        page, whole = pages(**lacking)
        assert page == whole
    assert pages.told == 3
    assert pages()[0] == pages()[1]


def test_a_host_of_no_service_has_the_words_of_others() -> None:
    pages, offer = Pages(), Offer(Ask.REVIEW, "t")
    for n in range(3):
        page, whole = pages(NOWHERE, host=f"h{n}.example", offer=offer)
        assert page == whole
    assert pages.told == 2


def test_a_page_that_would_be_too_long_loses_its_logo_as_ever() -> None:
    organisation = replace(ORGANISATION, logo=Logo.of("image/png", b"x" * MAX_LOGO))
    segment = replace(SEGMENT, notice=Text.of("Hm. " * 400))
    pages, offer = Pages(), Offer(Ask.REVIEW, "t")
    lengths = set()
    for size in range(1, 12_000, 500):
        page, whole = pages(
            replace(BLOCKED, rule=RULES[Action.BLOCK]), organisation=organisation, segment=segment,
            offer=replace(offer, ticket="t" * size),
        )  # fmt: skip
        assert page == whole
        lengths.add(b"<img" in page.body)
    assert lengths == {True, False}
    assert len(page.body) < MAX_PAGE


def test_no_more_drafts_are_kept_than_is_said() -> None:
    pages = Pages(limit=3)
    rules = [Rule(f"rule-{n}", Action.BLOCK) for n in range(10)]
    for rule in rules * 3:
        page, whole = pages(replace(BLOCKED, rule=rule))
        assert page == whole
    assert pages.told == 30
    for _ in range(3):
        pages(replace(BLOCKED, rule=rules[-1]))
    assert pages.told == 31


def test_a_draft_that_would_not_give_the_page_is_not_used() -> None:
    """A word of an administrator that holds a mark."""
    rule = replace(RULES[Action.JUSTIFY], id="marked")
    offer = Offer(Ask.JUSTIFY, "t", timedelta(1), "de\x02sk")
    case = Case.of(asked("a.test"), ORGANISATION, INCIDENT, AT, SEGMENT)
    decision = Decision(Action.JUSTIFY, Reason.RULE, "office", SERVICE, rule)
    story = tell_decision(case, "en", decision, data_exposed=DataExposed.NONE, offer=offer)
    what = passing(case, LANGUAGES["en"], "x")
    assert Draft.of(story).filled(what, "t") != page_of(story)
    pages = Pages()
    for _ in range(3):
        page, whole = pages(decision, offer=offer)
        assert page == whole
    assert pages.told == 3
