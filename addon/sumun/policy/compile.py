"""Build the policy decision point out of checked values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sumun.model.listed import Entry
from sumun.model.rule import Exemption, Rule
from sumun.model.segment import Segment
from sumun.model.service import Pattern, Service
from sumun.policy.conditions import CompiledRule
from sumun.policy.domain_index import DomainIndex, ListIndex
from sumun.policy.engine import Listing, Policy
from sumun.policy.grants import exemption_rule
from sumun.policy.segment_table import SegmentTable


@dataclass(frozen=True)
class PolicySource:
    """All that a policy is made of, parsed and checked: references point at things that exist."""

    segments: Sequence[Segment]
    rules: Sequence[Rule] = ()
    """Global rules, before every segment's own."""
    services: Sequence[Service] = ()
    lists: Mapping[str, Sequence[Entry]] = field(default_factory=dict)
    large_lists: ListIndex | None = None
    """Further lists, looked up where they are rather than taken into the index."""
    exemptions: Sequence[Exemption] = ()
    unknown_clients: str | None = None
    """Name of the segment that clients of no segment are served as; None: they are refused."""
    revision: str = ""
    """Digest of the texts behind this; the same on every host that loads them."""


def compile_policy(source: PolicySource) -> Policy:
    """Compile once; the result is immutable and safe to share between threads."""
    exemptions = [CompiledRule.of(exemption_rule(exemption)) for exemption in source.exemptions]
    common = [*exemptions, *map(CompiledRule.of, source.rules)]
    return Policy(
        revision=source.revision,
        segments=SegmentTable(source.segments),
        index=DomainIndex(_listings(source)),
        rules={s.name: (*common, *map(CompiledRule.of, s.rules)) for s in source.segments},
        exemptions=frozenset(exemption.rule.id for exemption in exemptions),
        large_lists=source.large_lists,
        unknown_clients=next((s for s in source.segments if s.name == source.unknown_clients), None),
    )


def _listings(source: PolicySource) -> Iterator[tuple[Pattern, Listing]]:
    for service in source.services:
        for domain in service.domains:
            yield domain.pattern, (service, domain)
    for list_id, entries in source.lists.items():
        for entry in entries:
            yield entry.pattern, entry.filed_as(list_id)
