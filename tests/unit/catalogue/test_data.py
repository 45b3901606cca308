"""Every file of the shipped catalogue holds what a contributor is promised it holds."""

from __future__ import annotations

import re
from datetime import date

import pytest

from sumun.catalogue.categories import CATEGORIES
from sumun.catalogue.consistency import conflicts
from sumun.catalogue.public_suffix import is_public_suffix
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern, ServiceDomain
from sumun.policy.domain_index import DomainIndex
from tests.unit.catalogue.corpus import LISTS, by_id, files, names, services

UNDECIDED = {"canva-ai", "fotor", "grammarly"}
"""Known, but neither a name nor a path tells their AI apart."""

DEEPSEEK_OWN = """
    deepseek.com www.deepseek.com chat.deepseek.com api.deepseek.com platform.deepseek.com api-docs.deepseek.com
    status.deepseek.com feedback.deepseek.com cdn.deepseek.com static.deepseek.com fe-static.deepseek.com
    download.deepseek.com hif-leim.deepseek.com hif-dliq.deepseek.com guh50jw4-ios.mobile-messenger.intercom.com
"""
DEEPSEEK_SHARED = """
    gator.volces.com tab.volces.com apmplus.volces.com apmplus.ap-southeast-1.volces.com apm.volccdn.com
    lf3-data.volccdn.com fp-it-acc.portal101.cn fp-it.portal101.cn static.portal101.cn fp-it.fengkongcloud.com
    fp-it-tracker.fengkongcloud.com fp-sa-it-acc.fengkongcloud.com castatic.fengkongcloud.com
"""


def globs() -> list[tuple[str, ServiceDomain]]:
    return [(s.id, d) for s in services() for d in s.domains if d.pattern.match is Match.GLOB]


def test_holds_at_least_450_services_in_every_category() -> None:
    assert len(services()) == len(files()) >= 450
    assert {service.category for service in services()} == set(CATEGORIES)


def test_services_do_not_clash_and_take_down_nothing_that_others_need() -> None:
    never_block = names(LISTS / "never-block.txt")
    assert len(never_block) >= 220
    assert list(conflicts(services(), never_block)) == []
    index = DomainIndex((d.pattern, s.id) for s in services() for d in s.domains if not d.shared)
    assert [name.text for name in never_block if index.covers(name)] == []


def test_no_entry_equals_or_covers_a_public_suffix() -> None:
    claimed = [d.pattern.text for s in services() for d in s.domains if not d.shared]
    assert len(claimed) > 900
    assert [text for text in claimed if is_public_suffix(text)] == []


def test_names_are_written_as_they_are_matched() -> None:
    written = [
        re.findall(r"name: \"?([^\s,\"}]+)", path.read_text(encoding="utf-8").partition("\ndomains:")[2])
        for path in files()
    ]
    parsed = [[domain.pattern.text for domain in service.domains] for service in services()]
    assert written == parsed


def test_a_name_is_not_listed_twice_without_saying_more() -> None:
    """An exact host below the service's own suffix earns its line with another role."""
    for service in services():
        suffixes = {d.pattern.text: d for d in service.domains if d.pattern.match is Match.SUFFIX and not d.shared}
        for domain in service.domains:
            above = list(DomainName(domain.pattern.text).suffixes())[1:]
            wider = next((suffixes[text] for text in above if text in suffixes), None)
            if wider and not domain.shared and service.id != "deepseek":
                assert domain.role not in (wider.role, "web"), (service.id, domain.pattern.text)


def test_every_entry_was_read_and_no_service_has_ended_in_the_future() -> None:
    for service in services():
        assert service.reviewed is not None, service.id
        assert service.ended is None or service.ended <= service.reviewed, service.id


def test_facts_that_were_not_established_are_marked() -> None:
    for service in services():
        assert bool(service.data_countries) == bool(service.data_basis and service.data_source), service.id
        assert bool(service.serves_models) == bool(service.models_evidence), service.id
        assert (service.vendor_country == "ZZ") == (not service.vendor_source), service.id


@pytest.mark.parametrize(("service", "domain"), globs(), ids=lambda value: str(getattr(value, "pattern", value)))
def test_a_glob_takes_its_examples_and_spares_its_neighbours(service: str, domain: ServiceDomain) -> None:
    assert domain.matches, service
    assert domain.spares, service
    index = DomainIndex([(domain.pattern, None)])
    assert [host for host in domain.matches if not index.covers(DomainName.parse(host))] == []
    assert [host for host in domain.spares if index.covers(DomainName.parse(host))] == []


def test_globs_reach_every_region() -> None:
    index = DomainIndex((d.pattern, s.id) for s in services() for d in s.domains if not d.shared)
    found = {
        host: index.lookup(DomainName.parse(host))[0][0]
        for host in (
            "europe-west4-aiplatform.googleapis.com", "bedrock-runtime.eu-west-3.amazonaws.com",
            "my-company.openai.azure.com", "dashscope-intl.aliyuncs.com", "someone-something.hf.space",
        )
    }  # fmt: skip
    assert list(found.values()) == ["vertex-ai", "bedrock", "azure-ai", "dashscope", "huggingface"]


def test_services_that_no_rule_can_reach_are_these_and_no_others() -> None:
    unreachable = {s.id for s in services() if all(d.shared and not d.paths for d in s.domains)}
    assert unreachable == UNDECIDED


def test_deepseek_is_complete_and_its_measurement_suppliers_are_spared() -> None:
    service = by_id()["deepseek"]
    own = {d.pattern.text for d in service.domains if not d.shared}
    shared = {d.pattern.text for d in service.domains if d.shared}
    assert own == set(DEEPSEEK_OWN.split())
    assert shared == set(DEEPSEEK_SHARED.split())
    assert not any(d.paths for d in service.domains)
    assert service.data_countries == {"CN"}
    assert service.domains[0].pattern == Pattern("deepseek.com")


def test_models_of_deepseek_elsewhere_are_another_fact_than_the_service() -> None:
    hosts = {s.id for s in services() if "deepseek" in s.serves_models}
    assert {"openrouter", "azure-ai", "bedrock", "huggingface", "ollama"} <= hosts
    assert "deepseek" not in hosts
    assert len(hosts) > 100


def test_subsidiaries_abroad_count_for_the_parent_company_too() -> None:
    for id_ in ("dola", "coze", "trae", "gauth", "talkie"):
        assert by_id()[id_].vendor_countries == {"SG", "CN"}, id_


def test_clova_x_has_ended() -> None:
    assert by_id()["clova-x"].ended == date(2026, 4, 9)


def test_korean_services_have_korean_titles() -> None:
    korean = [s for s in services() if s.vendor_country == "KR"]
    assert len(korean) > 15
    assert [s.id for s in korean if not dict(s.title.versions).get("ko")] == []


def test_every_source_is_explained() -> None:
    explained = set(re.findall(r"`(\w+):?`", (LISTS.parent / "SOURCES.md").read_text(encoding="utf-8")))
    used = {source.removeprefix("~").partition(":")[0] for s in services() for d in s.domains for source in d.sources}
    assert len(used) > 20
    assert used - explained == set()


def test_what_runs_on_ones_own_machines_is_known_for_every_local_runtime() -> None:
    local = [s for s in services() if s.category == "local-runtime-download"]
    assert len(local) >= 7
    assert [s.id for s in local if s.on_premises is not True] == []
    offered = [s for s in services() if s.on_premises is not None]
    assert [s.id for s in offered if not s.on_premises_source] == []


def test_apps_are_named_once_and_with_their_source() -> None:
    apps = [app for s in services() for app in s.apps]
    assert len(apps) >= 12
    assert len({(app.platform, app.id) for app in apps}) == len(apps)
    assert [app for app in apps if not app.source] == []
