from __future__ import annotations

from sumun.model.rule import Mode
from sumun.telemetry.record import service_of
from tests.unit.telemetry.fakes import attempt, record
from tests.unit.telemetry.test_ecs import NEEDS_CONTENT, WITH_SHADOW


def test_label_words_of_a_decision() -> None:
    enforced = record(attempt())
    assert (enforced.action, enforced.mode, service_of(enforced.event)) == ("block", Mode.ENFORCE, "deepseek")


def test_label_words_of_a_shadow_rule() -> None:
    event = attempt("10.0.0.7", policy=WITH_SHADOW)
    assert record(event).action == "allow"
    shadow = record(event, shadow=event.outcome.shadows[0])
    assert (shadow.action, shadow.mode) == ("block", Mode.SHADOW)


def test_label_words_where_nothing_is_known() -> None:
    assert record(attempt("10.0.0.7", policy=NEEDS_CONTENT)).action == "undetermined"
    assert service_of(attempt("192.0.2.1", "example.org")) == "none"
