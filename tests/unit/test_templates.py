"""Every template loads without a doubt and does what its row in the list of organisations says."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from sumun.loading.build import Loaded, build
from sumun.loading.sources import read_sources
from sumun.model.decision import Decision
from sumun.model.rule import Action
from sumun.model.segment import FailMode
from tests.support.builders import NOON, request

CONFIG = Path(__file__).parents[2] / "config"
TEMPLATES = sorted(path.stem for path in (CONFIG / "templates").glob("*.yaml"))

ALLOW, MONITOR, WARN, JUSTIFY, BLOCK = Action
DEEPSEEK = ("deepseek.com", "chat.deepseek.com", "api.deepseek.com")
CHATGPT, CLAUDE, GEMINI, ORDINARY = "chatgpt.com", "claude.ai", "gemini.google.com", "www.example.org"
FEBRUARY = datetime(2025, 2, 20, 3, tzinfo=UTC)


def load(name: str) -> Loaded:
    return build(read_sources(CONFIG / name))


def template(name: str) -> Loaded:
    return load(f"templates/{name}.yaml")


def decision(loaded: Loaded, client: str, name: str, at: datetime = FEBRUARY) -> Decision:
    outcome = loaded.policy.decide(request(client, name), at=at)
    assert isinstance(outcome, Decision)
    return outcome


def actions(loaded: Loaded, client: str, *names: str, at: datetime = FEBRUARY) -> list[Action]:
    return [decision(loaded, client, name, at).action for name in names]


def only_deepseek_is_blocked(loaded: Loaded, client: str) -> None:
    assert actions(loaded, client, *DEEPSEEK) == [BLOCK] * 3
    assert actions(loaded, client, CHATGPT, CLAUDE, GEMINI, ORDINARY) == [ALLOW] * 4


def all_generative_ai_is_blocked(loaded: Loaded, client: str) -> None:
    names = [service_domain(loaded, service) for service in sorted(s.id for s in loaded.services)]
    reachable = [name for name in names if name]
    assert len(reachable) >= 40
    assert set(actions(loaded, client, *reachable)) == {BLOCK}
    assert actions(loaded, client, ORDINARY) == [ALLOW]


def service_domain(loaded: Loaded, id_: str) -> str | None:
    """A name that can only be this service's; None where all of its domains are shared."""
    service = next(s for s in loaded.services if s.id == id_)
    return next((d.pattern.text.replace("*", "x") for d in service.domains if not d.shared), None)


def test_all_templates_are_tested_here() -> None:
    assert TEMPLATES == [
        "bank", "defence-ministry", "foreign-ministry", "government-devices", "hyundai-hq", "industry-ministry",
        "kakao", "khnp", "lg-uplus", "nasa", "naver", "one-line", "school", "sk-hynix",
    ]  # fmt: skip


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_loads_without_a_doubt_and_says_what_the_organisation_did(name: str) -> None:
    assert template(name).warnings == ()
    header = (CONFIG / "templates" / f"{name}.yaml").read_text("utf-8").partition("version: 1")[0]
    assert "Source: press, " in header.replace("\n# ", " ")


def test_foreign_ministry_restricts_one_service_on_external_networks() -> None:
    only_deepseek_is_blocked(template("foreign-ministry"), "10.10.3.4")


def test_defence_ministry_denies_all_generative_ai_and_fails_closed() -> None:
    loaded = template("defence-ministry")
    all_generative_ai_is_blocked(loaded, "10.20.3.4")
    assert loaded.config.segments[0].on_failure is FailMode.CLOSED
    assert actions(loaded, "192.0.2.1", ORDINARY) == [BLOCK], "a client of no segment gets nothing"


@pytest.mark.parametrize(
    ("name", "client"),
    [
        ("sumun.yaml", "127.0.0.3"),
        ("templates/defence-ministry.yaml", "10.20.3.4"),
        ("templates/khnp.yaml", "10.50.3.4"),
        ("templates/bank.yaml", "10.70.3.4"),
    ],
)
def test_strict_segments_leave_no_known_way_round_open(name: str, client: str) -> None:
    loaded = load(name)
    found = {asked: decision(loaded, client, asked) for asked in ("dns.google", "nordvpn.com", ORDINARY)}
    assert [each.action for each in found.values()] == [BLOCK, BLOCK, ALLOW]
    assert [each.bypass for each in found.values()] == ["encrypted_dns", "vpn", None]
    elsewhere = decision(load("sumun.yaml"), "127.0.0.2", "dns.google")
    assert (elsewhere.action, elsewhere.bypass) == (ALLOW, "encrypted_dns"), "counted, where something is filtered"


def test_hyundai_blocks_at_headquarters_and_the_rule_carries_the_notice() -> None:
    loaded = template("hyundai-hq")
    only_deepseek_is_blocked(loaded, "10.30.3.4")
    rule = decision(loaded, "10.30.3.4", DEEPSEEK[0]).rule
    assert rule is not None
    assert all(rule.reason.within(language) for language in ("ko", "en"))
    assert rule.reference == "Internal notice on DeepSeek"


def test_industry_ministry_limits_access_for_a_time() -> None:
    loaded, client = template("industry-ministry"), "10.40.3.4"
    rule = loaded.config.segments[0].rules[0]
    assert rule.review == date(2025, 7, 1)
    instants = {
        datetime(2025, 2, 5, 14, 59, tzinfo=UTC): ALLOW,  # the last minute of 5 February in Seoul
        datetime(2025, 2, 5, 15, 0, tzinfo=UTC): BLOCK,
        datetime(2025, 7, 31, 14, 59, tzinfo=UTC): BLOCK,  # the whole of 31 July
        datetime(2025, 7, 31, 15, 0, tzinfo=UTC): ALLOW,
    }
    assert {at: decision(loaded, client, DEEPSEEK[0], at).action for at in instants} == instants
    assert actions(loaded, client, CHATGPT, ORDINARY) == [ALLOW, ALLOW]


def test_the_lapse_of_the_temporary_rule_is_told() -> None:
    sources = read_sources(CONFIG / "templates" / "industry-ministry.yaml")
    assert [w.path for w in build(sources, at=NOON).warnings] == ["/segments/ministry/rules/0/until"]


def test_khnp_bans_generative_ai_by_category() -> None:
    all_generative_ai_is_blocked(template("khnp"), "10.50.3.4")


def test_kakao_blocks_deepseek_and_allows_chatgpt_in_one_segment() -> None:
    loaded, client = template("kakao"), "10.60.3.4"
    only_deepseek_is_blocked(loaded, client)
    rule = decision(loaded, client, CHATGPT).rule
    assert rule is not None
    assert rule.id == "chatgpt-for-work"


def test_banks_and_schools_restrict_on_their_networks() -> None:
    only_deepseek_is_blocked(template("bank"), "10.70.3.4")
    only_deepseek_is_blocked(template("school"), "10.80.3.4")


@pytest.mark.parametrize("client", ["10.90.3.4", "10.91.3.4", "10.92.3.4"])
def test_one_line_serves_many_segments(client: str) -> None:
    only_deepseek_is_blocked(template("one-line"), client)


@pytest.mark.parametrize("client", ["10.100.3.4", "2001:db8:100::7"])
def test_nasa_blocks_site_app_and_api_over_both_protocols(client: str) -> None:
    only_deepseek_is_blocked(template("nasa"), client)


def test_the_default_configuration_gives_three_segments_three_answers() -> None:
    loaded = load("sumun.yaml")
    clients = {"hq-network": "127.0.0.1", "external-facing": "127.0.0.2", "military-use": "127.0.0.3"}
    asked = {
        segment: actions(loaded, client, DEEPSEEK[1], CHATGPT, CLAUDE, ORDINARY)
        for segment, client in clients.items()
    }  # fmt: skip
    assert asked == {
        "hq-network": [BLOCK, MONITOR, ALLOW, ALLOW],
        "external-facing": [BLOCK, ALLOW, ALLOW, ALLOW],
        "military-use": [BLOCK, BLOCK, BLOCK, ALLOW],
    }
    rules = [decision(loaded, client, DEEPSEEK[1]).rule for client in clients.values()]
    assert len({rule.id for rule in rules if rule}) == 3
    assert all(rule and rule.reason.within("ko") and rule.reason.within("en") for rule in rules)
    assert {s.name: s.on_failure for s in loaded.config.segments} == {
        "hq-network": FailMode.OPEN, "external-facing": FailMode.CLOSED, "military-use": FailMode.CLOSED,
    }  # fmt: skip
    assert actions(loaded, "127.0.0.9", ORDINARY) == [BLOCK]
    assert loaded.warnings == ()
    listen = loaded.config.settings.listen
    assert [listen.dns.port, listen.proxy.port, listen.pages.http, listen.pages.https, listen.console.port] == [
        8053, 8080, 8081, 8443, 8090,
    ]  # fmt: skip
    assert loaded.config.segments[2].dns.ttl == 30


def test_lg_uplus_blocks_one_service_and_cautions_before_the_others() -> None:
    loaded = template("lg-uplus")
    assert actions(loaded, "10.70.3.4", DEEPSEEK[0], CHATGPT, CLAUDE, ORDINARY) == [BLOCK, WARN, WARN, ALLOW]
    rule = decision(loaded, "10.70.3.4", CHATGPT).rule
    assert rule is not None
    assert rule.ttl == timedelta(hours=8)


def test_sk_hynix_asks_for_a_reason_that_somebody_approves() -> None:
    loaded = template("sk-hynix")
    assert actions(loaded, "10.80.3.4", DEEPSEEK[0], CHATGPT, ORDINARY) == [JUSTIFY, JUSTIFY, ALLOW]
    rule = decision(loaded, "10.80.3.4", CHATGPT).rule
    assert rule is not None
    assert (rule.approver, rule.ttl) == ("Information Security", timedelta(hours=24))


def test_naver_judges_by_where_vendor_and_data_are() -> None:
    found = actions(
        template("naver"), "10.90.3.4", DEEPSEEK[0], "kimi.com", "clova.ai", "ollama.com", CHATGPT, ORDINARY
    )
    assert found == [BLOCK, BLOCK, MONITOR, MONITOR, WARN, ALLOW]


def test_government_devices_are_banned_but_for_one_exemption_until_its_end() -> None:
    loaded = template("government-devices")
    only_deepseek_is_blocked(loaded, "10.100.3.4")
    last_day, after = datetime(2027, 6, 30, 23, 59, tzinfo=UTC), datetime(2027, 7, 1, tzinfo=UTC)
    assert [decision(loaded, "10.101.7.7", DEEPSEEK[0], at).action for at in (last_day, after)] == [ALLOW, BLOCK]
    assert actions(loaded, "10.101.7.8", DEEPSEEK[0], at=last_day) == [BLOCK]
