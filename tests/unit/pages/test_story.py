"""What is told: everything a person needs, nothing a stranger may know."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from sumun.model.decision import Decision, Reason
from sumun.model.organisation import Organisation
from sumun.model.rule import Action
from sumun.model.text import Text
from sumun.model.verdict import DataExposed
from sumun.pages.story import Case, Tone, tell_decision
from sumun.pages.words import LANGUAGES
from tests.support.builders import NOON, rule
from tests.unit.pages.cases import BLOCKED, INCIDENT, ORGANISATION, RULE, SEGMENT, asked, told


@pytest.mark.parametrize("action", Action)
def test_every_action_is_told_and_none_as_a_pass(action: Action) -> None:
    story = told(replace(BLOCKED, action=action))
    held = action in (Action.WARN, Action.JUSTIFY)
    assert story.status == 403
    assert story.tone is (Tone.THINK if held else Tone.STOP)
    assert bool(story.notice) is story.guidance is held
    assert story.request is (action is Action.JUSTIFY)


@pytest.mark.parametrize(("reason", "language"), list(product(Reason, sorted(LANGUAGES))))
def test_every_reason_has_a_sentence_where_the_rule_has_none(reason: Reason, language: str) -> None:
    story = told(replace(BLOCKED, reason=reason, rule=None), language)
    assert story.why == (LANGUAGES[language].reasons[reason],)
    assert not story.quoted


def test_the_sentences_for_reasons_differ() -> None:
    assert all(len(set(words.reasons.values())) == len(Reason) for words in LANGUAGES.values())


@pytest.mark.parametrize(("exposed", "language"), list(product(DataExposed, sorted(LANGUAGES))))
def test_every_exposure_is_told(exposed: DataExposed, language: str) -> None:
    case = Case.of(asked(), ORGANISATION, INCIDENT, NOON, SEGMENT)
    story = tell_decision(case, language, BLOCKED, data_exposed=exposed)
    assert story.data == LANGUAGES[language].exposures[exposed]
    assert story.data_left is (exposed in (DataExposed.REQUEST_HEADERS, DataExposed.REQUEST_BODY))


def test_the_rules_own_words_come_first() -> None:
    story = told(language="ko")
    assert story.quoted
    assert story.why[1] == "승인된 AI 도구를 이용해 주세요."


def test_a_rule_in_one_language_is_shown_in_it_to_all() -> None:
    only_korean = replace(RULE, reason=Text.of({"ko": "안 됩니다."}))
    assert told(replace(BLOCKED, rule=only_korean)).why == ("안 됩니다.",)


def test_the_details_name_network_rule_reference_authority_end_and_time() -> None:
    facts = {fact.label: fact for fact in told().facts}
    assert {label: fact.text for label, fact in facts.items()} == {
        "Your network": "Military-use network",
        "Rule": "no-generative-ai",
        "Reference": "Security notice 2025-02, section 3",
        "Ordered by": "Ministry of Example",
        "In force until": "4 February 2026, 12:00:00 UTC",
        "Time": "5 January 2026, 12:00:00 UTC",
    }
    assert facts["Time"].machine == "2026-01-05T12:00:00+00:00"


def test_what_is_not_known_is_left_out() -> None:
    bare = Decision(Action.BLOCK, Reason.UNKNOWN_CLIENT, "unknown")
    case = Case(asked(), Organisation(), INCIDENT, NOON)
    story = tell_decision(case, "en", bare, data_exposed=DataExposed.NONE)
    assert [fact.label for fact in story.facts] == ["Time"]
    assert story.heading == "This site is not available on this network"
    assert story.next == LANGUAGES["en"].ask_administrator
    assert story.extras == {"action": "block", "data_exposed": "none"}


def test_a_service_without_a_title_is_called_by_its_id() -> None:
    assert BLOCKED.service
    nameless = replace(BLOCKED, service=replace(BLOCKED.service, title=Text()))
    assert told(nameless).heading == "deepseek is not available on this network"


def test_a_reference_that_is_an_address_becomes_a_link() -> None:
    linked = rule("r", "block", reference="https://law.example/3")
    fact = next(fact for fact in told(replace(BLOCKED, rule=linked)).facts if fact.label == "Reference")
    assert fact.href == "https://law.example/3"


def test_a_stranger_learns_nothing_about_the_organisation() -> None:
    stranger = told().for_strangers()
    seen = repr(replace(stranger, words=LANGUAGES["en"], host="", heading=""))
    for secret in ("Example Ministry", "help@ministry.example", "military-use", "Military", RULE.id, RULE.reference):
        assert secret in repr(told())
        assert secret not in seen.replace(repr(LANGUAGES["en"]), "")
    assert stranger.incident == INCIDENT


def test_endless_configuration_makes_no_endless_page() -> None:
    long = rule("r" * 9000, "block", reason=Text.of("x " * 90_000), reference="y" * 9000, authority="z" * 9000)
    story = told(replace(BLOCKED, rule=long), organisation=Organisation(Text.of("o" * 9000), "c" * 9000))
    assert len(repr(replace(story, words=LANGUAGES["en"]))) - len(repr(LANGUAGES["en"])) < 6000
