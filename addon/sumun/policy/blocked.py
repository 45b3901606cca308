"""What the sinkhole of a segment answers itself at an instant, for whoever writes that down for other software."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address

from sumun.model.decision import Decision
from sumun.model.name import DomainName, IPAddress
from sumun.model.request import AccessRequest
from sumun.model.rule import Action, IPNetwork, Rule
from sumun.model.segment import Segment
from sumun.model.service import Pattern
from sumun.policy.engine import Policy

_STRANGERS = ("192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1")
"""Addresses that a segment for unknown clients may have as its own."""


@dataclass(frozen=True, slots=True)
class BlockedNames:
    """One segment's blocked names, asked one by one as its sinkhole asks."""

    policy: Policy
    segment: Segment
    at: datetime
    client: IPAddress
    """Stands for the whole segment."""

    @classmethod
    def of(cls, policy: Policy, segment: Segment, at: datetime) -> BlockedNames | None:
        """Choose a client that as few rules as possible single out; None: no client is ever in this segment."""
        candidates = [address for address in _addresses(policy, segment) if policy.segment_of(address) is segment]
        rules = list(_rules(policy, segment))
        client = min(candidates, key=lambda address: sum(_singles_out(r, address) for r in rules), default=None)
        return None if client is None else cls(policy, segment, at, client)

    def covers(self, name: DomainName) -> bool:
        """Whether the sinkhole blocks the name; what a page or a look inside decides is not blocked by DNS."""
        outcome = self.policy.decide(AccessRequest(self.client, name), at=self.at)
        return isinstance(outcome, Decision) and outcome.action is Action.BLOCK

    def patterns(self) -> Iterator[Pattern]:
        """Every pattern that may make a difference, some of them twice."""
        rules = list(_rules(self.policy, self.segment))
        for rule in rules:
            yield from rule.when.domains or ()
        yield from self.policy.index.patterns()
        if self.policy.large_lists is not None:
            used = frozenset[str]().union(*(rule.when.lists or () for rule in rules))
            yield from self.policy.large_lists.patterns_of(used)

    def personal(self) -> list[str]:
        """Ids of rules that hold for some clients or users of the segment only, and so not for its file."""
        rules = _rules(self.policy, self.segment)
        return [
            rule.id
            for rule in rules
            if rule.when.users is not None or (rule.when.clients is not None and not _singles_out(rule, self.client))
        ]


def _rules(policy: Policy, segment: Segment) -> Iterator[Rule]:
    return (compiled.rule for compiled in policy.rules[segment.name])


def _singles_out(rule: Rule, client: IPAddress) -> bool:
    return any(client in network for network in rule.when.clients or ())


def _addresses(policy: Policy, segment: Segment) -> Iterator[IPAddress]:
    """Where a client that no rule singles out can be: at an end of a network, or right behind one."""
    for rule in _rules(policy, segment):
        yield from _around(rule.when.clients or ())
    for other in policy.segments.segments:
        yield from _around(other.networks)
    yield from map(ip_address, _STRANGERS)


def _around(networks: Iterable[IPNetwork]) -> Iterator[IPAddress]:
    for network in networks:
        kind = IPv4Address if network.version == 4 else IPv6Address
        first, last = int(network.network_address), int(network.broadcast_address)
        highest = (1 << network.max_prefixlen) - 1
        for number in (first, first + 1, last, last + 1, first - 1):
            if 0 <= number <= highest:
                yield kind(number)
