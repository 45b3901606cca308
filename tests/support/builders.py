"""Short ways to say a policy in a test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any

from sumun.model.name import DomainName
from sumun.model.request import AccessRequest
from sumun.model.rule import Action, Conditions, Exemption, Rule
from sumun.model.segment import Segment
from sumun.model.service import Match, Pattern, Service, ServiceDomain
from sumun.model.text import Text
from sumun.policy.compile import PolicySource, compile_policy
from sumun.policy.engine import Policy

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""A Monday."""


def service(
    id_: str, *domains: str | ServiceDomain, category: str = "chat-assistant", country: str = "CN", **more: Any
) -> Service:
    entries = tuple(d if isinstance(d, ServiceDomain) else ServiceDomain(Pattern.parse(d), "web") for d in domains)
    return Service(id_, Text.of(id_.title()), f"{id_} vendor", country, category, entries, **more)


def exact(text: str) -> ServiceDomain:
    return ServiceDomain(Pattern.parse(text, Match.EXACT), "web")


def shared(text: str, *paths: str) -> ServiceDomain:
    return ServiceDomain(Pattern.parse(text), "web", shared=True, paths=paths)


def rule(id_: str, action: Action | str, **more: Any) -> Rule:
    """Conditions by their names in Conditions; everything else goes to Rule."""
    conditions = {key: more.pop(key) for key in list(more) if key in Conditions.__dataclass_fields__}
    for key in ("services", "categories", "vendor_countries", "data_countries", "lists", "users", "content"):
        if key in conditions:
            conditions[key] = frozenset(conditions[key])
    if "domains" in conditions:
        conditions["domains"] = tuple(Pattern.parse(text) for text in conditions["domains"])
    if "clients" in conditions:
        conditions["clients"] = tuple(map(ip_network, conditions["clients"]))
    return Rule(id_, Action(action), Conditions(**conditions), **more)


def segment(name: str, *networks: str, rules: Sequence[Rule] = (), **more: Any) -> Segment:
    return Segment(name, tuple(map(ip_network, networks)), tuple(rules), **more)


def policy(
    *segments: Segment,
    services: Sequence[Service] = (),
    rules: Sequence[Rule] = (),
    exemptions: Sequence[Exemption] = (),
    revision: str = "test",
    **more: Any,
) -> Policy:
    source = PolicySource(segments, rules, services, exemptions=exemptions, revision=revision, **more)
    return compile_policy(source)


def request(client: str, name: str | None, **more: Any) -> AccessRequest:
    return AccessRequest(ip_address(client), None if name is None else DomainName.parse(name), **more)


DEEPSEEK = service("deepseek", "deepseek.com")
CHATGPT = service("chatgpt", "chatgpt.com", country="US")


def three_segments(**more: Any) -> Policy:
    """The shape of the default configuration: one name, three different answers."""
    return policy(
        segment("hq-network", "10.30.0.0/16", "127.0.0.1/32"),
        segment(
            "external-facing", "10.10.0.0/16", "127.0.0.2/32",
            rules=[rule("no-deepseek", "block", services=["deepseek"])],
        ),
        segment(
            "military-use", "10.20.0.0/16", "127.0.0.3/32",
            rules=[rule("no-generative-ai", "block", categories=["*"])],
        ),
        services=[DEEPSEEK, CHATGPT],
        **more,
    )  # fmt: skip
