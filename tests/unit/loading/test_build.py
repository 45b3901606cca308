"""Texts to a policy, or every fault of every file."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sumun.catalogue.built_in import BUILT_IN
from sumun.config.fault import ConfigError
from sumun.loading.build import ListStatistics, build, build_services
from sumun.loading.sources import Sources, read_services, read_sources
from sumun.model.decision import Decision
from sumun.model.rule import Action
from tests.support.builders import NOON, request
from tests.unit.loading.support import service, sources

CONFIG = "version: 1\nsegments: {a: {networks: [10.0.0.0/8]}}\n"
REPOSITORY = Path(__file__).parents[3]


def action(loaded_from: Sources, name: str) -> Action:
    outcome = build(loaded_from).policy.decide(request("10.0.0.7", name), at=NOON)
    assert isinstance(outcome, Decision)
    return outcome.action


def test_rules_meet_services_lists_and_names() -> None:
    rules = "rules: [{id: r, action: block, services: [deepseek]}, {id: l, action: monitor, lists: [near]}]\n"
    text = f"{CONFIG}{rules}lists: [{{id: near, path: x.txt}}]\n"
    texts = sources(text, near="# comment\none.example\n")
    assert [action(texts, name) for name in ("chat.deepseek.com", "a.one.example", "two.example")] == [
        Action.BLOCK, Action.MONITOR, Action.ALLOW,
    ]  # fmt: skip
    assert build(texts).revision == build(texts).policy.revision == texts.revision


def test_what_became_of_a_list_is_told() -> None:
    text = CONFIG + "lists: [{id: near, path: x.txt}, {id: far, url: 'https://l.example/'}]\n"
    loaded = build(sources(text, near="one.example\none.example\nnot a name\ncom\ntwo.example\n"))
    near = loaded.lists["near"]
    assert (near.entries, near.refused, near.present) == (2, 2, True)
    assert [refusal.line for refusal in near.refusals] == [3, 4]
    assert loaded.lists["far"] == ListStatistics()


def test_exceptions_of_a_list_take_effect_within_it() -> None:
    text = (
        f"{CONFIG}rules: [{{id: r, action: block, lists: [near]}}]\nlists: [{{id: near, path: x, format: adblock}}]\n"
    )
    near = "||a.example^\n@@||ok.a.example^\n||no.ok.a.example^$important\n||b.example^$denyallow=ok.b.example\n"
    texts = sources(text, near=near)
    names = ("a.example", "www.a.example", "www.ok.a.example", "no.ok.a.example", "b.example", "x.ok.b.example")
    blocked = [name for name in names if action(texts, name) is Action.BLOCK]
    assert blocked == ["a.example", "www.a.example", "no.ok.a.example", "b.example"]
    found = build(texts).lists["near"]
    assert (found.entries, found.exceptions, found.refused) == (3, 1, 0)


def with_built_in(text: str, **lists: str) -> Sources:
    folder = REPOSITORY / "blocklists" / "lists"
    return sources(text, **{path.stem: path.read_text("utf-8") for path in folder.glob("*.txt")}, **lists)


def test_the_lists_that_come_with_sumun_need_no_declaration() -> None:
    rules = "rules: [{id: r, action: block, lists: [dns-bypass, tunnels, deepseek-lookalikes]}]\n"
    texts = with_built_in(CONFIG + rules)
    found = build(texts).lists
    assert {id_: stats.refused for id_, stats in found.items()} == dict.fromkeys(BUILT_IN, 0)
    assert action(texts, "mask.icloud.com") is Action.BLOCK
    assert action(texts, "nordvpn.com") is Action.BLOCK
    for shared in ("cloudfront.net", "d111.cloudfront.net", "x.fastly.net", "ajax.googleapis.com", "www.bing.com"):
        assert action(texts, shared) is Action.ALLOW, shared


def test_a_misspelt_list_is_told_from_those_that_come_with_sumun() -> None:
    rules = "rules: [{id: r, action: block, lists: [dns-bypas, never-block]}]\nlists: [{id: tunnels, path: x}]\n"
    with pytest.raises(ConfigError) as caught:
        build(with_built_in(CONFIG + rules))
    assert [fault.message for fault in caught.value.faults] == [
        "unknown list `dns-bypas`; did you mean `dns-bypass`?",
        "unknown list `never-block`: it has to stand under `lists`",
        "list `tunnels` comes with Sumun: choose another id",
    ]


def test_no_list_takes_down_what_others_need() -> None:
    lists = "lists: [{id: near, path: x.txt}, {id: own, path: y.txt, guard: false}]\n"
    text = CONFIG + "upstreams: ['https://resolver.example/q']\n" + lists
    hostile = "bing.com\nexample.org\nresolver.example\n*-intake-datadoghq.com\ncom\n.\napple.com\n"
    loaded = build(with_built_in(text, near=hostile, own="bing.com\n"))
    near = loaded.lists["near"]
    assert near.entries == 1
    assert {r.line: r.why.partition(":")[0] for r in near.refusals} == {
        1: "`bing.com` would take down `bing.com`, which others need",
        3: "`resolver.example` would take down `resolver.example`, which others need",
        4: "`*-intake-datadoghq.com` could match names of many owners",
        5: "`com` has no dot",
        6: "name is empty",
        7: "`apple.com` would take down `apple.com`, which others need",
    }
    assert loaded.lists["own"].entries == 1


def test_faults_of_all_files_come_together() -> None:
    texts = sources(CONFIG + "rules: [{id: r, action: block, services: [other, deepsek]}]\n")
    services = {**texts.services, "services/other.yaml": service("other", "com").replace("CN", "XX")}
    with pytest.raises(ConfigError) as caught:
        build(Sources(texts.config_file, texts.config, services))
    first, second = caught.value.faults
    assert (first.file, first.line) == ("blocklists/services/other.yaml", 3)
    assert str(second) == "c.yaml:3: /rules/0/services/1: unknown service `deepsek`; did you mean `deepseek`?"


def test_a_list_without_its_file_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"no file at `x\.txt`"):
        build(sources(CONFIG + "lists: [{id: near, path: x.txt}]\n"))


def test_a_list_that_is_not_the_vetted_one_is_refused() -> None:
    digest = hashlib.sha256(b"one.example\n").hexdigest()
    text = f"{CONFIG}lists: [{{id: near, path: x.txt, sha256: {digest}}}]\n"
    assert build(sources(text, near="one.example\n")).lists["near"].entries == 1
    with pytest.raises(ConfigError, match=r"c\.yaml:3: /lists/0/sha256: the list at hand has the digest"):
        build(sources(text, near="two.example\n"))


def test_with_the_time_it_warns_of_what_has_ended() -> None:
    texts = sources(CONFIG + "rules: [{id: r, action: block, services: [deepseek], until: 2025-01-01}]\n")
    assert [w.message for w in build(texts, at=datetime(2026, 1, 1, tzinfo=UTC)).warnings] == [
        "rule `r` has ended: it no longer matches anything"
    ]


def test_the_whole_catalogue_loads() -> None:
    loaded = build(read_sources(REPOSITORY / "config" / "sumun.yaml"))
    assert len(loaded.services) >= 40


def test_the_catalogue_can_be_had_without_a_configuration() -> None:
    assert {"deepseek", "chatgpt", "openai-api"} <= {service.id for service in build_services(read_services())}


def test_faults_of_the_catalogue_alone_come_together_too() -> None:
    texts = {f"services/{id_}.yaml": service(id_, "com") for id_ in ("one", "two")}
    with pytest.raises(ConfigError) as caught:
        build_services(texts)
    assert [fault.file for fault in caught.value.faults] == [
        "blocklists/services/one.yaml", "blocklists/services/two.yaml",
    ]  # fmt: skip
