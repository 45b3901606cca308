"""`explain` and the enforcement points never disagree, on ten thousand random requests to the real catalogue."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from sumun.loading.build import Loaded, build
from sumun.loading.sources import Sources
from sumun.model.decision import Decision
from sumun.model.name import DomainName
from sumun.model.request import AccessRequest
from sumun.model.service import Match
from sumun.model.verdict import Verdict
from sumun.policy.explain import by_name_only, explain
from tests.support.points import Points
from tests.unit.test_scenarios import default_sources

REQUESTS = 10_000
SEED = 20260105
CONFIGURATION = """
version: 1
rules:
  - {id: nobody, action: block, services: [deepseek], hours: {days: mon-fri, zone: Asia/Seoul}}
segments:
  plain: {networks: [10.1.0.0/16]}
  strict:
    networks: [10.2.0.0/16]
    dns: {answer: nxdomain}
    rules: [{id: no-ai, action: block, categories: ["*"]}]
  mixed:
    networks: [10.3.0.0/16]
    on_failure: open
    rules:
      - {id: watch, action: monitor, categories: [code-assistant]}
      - {id: ours, action: allow, services: [chatgpt], tenant: {X-Workspace: ours}}
      - {id: try-out, action: block, mode: shadow, categories: [search]}
      - {id: no-r1, action: block, models: ["deepseek*"]}
      - {id: think, action: warn, vendor_countries: [CN]}
      - {id: why, action: justify, categories: [image], uploads: true}
      - {id: no-example, action: block, domains: [example.org]}
  unsteered:
    networks: [10.4.0.0/16]
    dns: {answer: "null", steer: false}
    default: block
    rules:
      - {id: no-r1, action: block, models: ["deepseek*"]}
      - {id: llm, action: allow, categories: [llm-api, chat-assistant]}
"""


def names(loaded: Loaded, rng: random.Random) -> list[str]:
    """Hosts of the catalogue, hosts below and beside them, and ordinary ones."""
    found = [d.pattern.text.replace("*", "x1") for s in loaded.services for d in s.domains]
    below = [
        f"{rng.choice(['www', 'api', 'x--y'])}.{d.pattern.text}"
        for s in loaded.services
        for d in s.domains
        if d.pattern.match is Match.SUFFIX
    ]
    return [
        *found,
        *below,
        *(f"not{name}" for name in found[:100]),
        "example.org",
        "www.example.org",
        "intranet.example",
    ]


def random_request(rng: random.Random, hosts: list[str]) -> AccessRequest:
    client = f"10.{rng.randint(1, 5)}.0.{rng.randint(1, 9)}"
    return AccessRequest(
        client=ip_address(client),
        name=DomainName.parse(rng.choice(hosts)),
        method="POST",
        path=rng.choice(["/", "/v1/chat/completions", "/chat", "/search"]),
        user=None,
        model=rng.choice([None, None, "DeepSeek-R1", "gpt-5"]),
        uploads=False,
    )


def test_explain_and_the_points_agree() -> None:
    rng = random.Random(SEED)
    sources = default_sources()
    loaded = build(Sources(sources.config_file, CONFIGURATION, sources.services, {}))
    trio, hosts = Points(loaded.policy), names(loaded, rng)
    start, seen = datetime(2026, 1, 1, tzinfo=UTC), Counter[Verdict]()
    for minute in sorted(rng.randint(0, 20_000) for _ in range(REQUESTS)):  # time does not run backwards
        request, at = random_request(rng, hosts), start + timedelta(minutes=minute)
        told = explain(trio.policy, request, at=at)
        assert isinstance(told.outcome, Decision)  # the http point knows everything that these rules ask
        did = {"dns": trio.dns(request, at), "gate": trio.gate(request, at), "http": trio.http(request, at)}
        assert {point: what.verdict for point, what in did.items()} == {
            "dns": told.dns,
            "gate": told.gate,
            "http": told.http,
        }
        assert told.dns == explain(trio.policy, by_name_only(request), at=at).dns
        seen.update(what.verdict for what in did.values())
    assert set(seen) >= {
        Verdict.FORWARDED, Verdict.SPLICED, Verdict.INTERCEPTED, Verdict.STEERED, Verdict.NXDOMAIN, Verdict.SINKHOLED,
        Verdict.NULL, Verdict.REFUSED, Verdict.BLOCK_PAGE, Verdict.WARN_PAGE,
    }, seen  # fmt: skip
