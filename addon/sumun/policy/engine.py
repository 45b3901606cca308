"""The policy decision point: one door for both enforcement points, the command line and the tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from sumun.model.bypass import technique_of
from sumun.model.decision import Decision, Outcome, Reason, Undetermined
from sumun.model.grant import GrantKind
from sumun.model.listed import carrying
from sumun.model.name import DomainName, IPAddress
from sumun.model.request import AccessRequest, Facet, Unknown
from sumun.model.rule import Action, Mode, Rule
from sumun.model.segment import UNKNOWN_SEGMENT, Segment
from sumun.model.service import Service, ServiceDomain
from sumun.policy.conditions import MATCHES, CompiledRule, Facts, missing
from sumun.policy.domain_index import DomainIndex, ListIndex
from sumun.policy.grants import NOTHING_GRANTED, Grants
from sumun.policy.schedule import holds, next_change
from sumun.policy.segment_table import SegmentTable

type Listing = tuple[Service, ServiceDomain] | str
"""What the index files under a name: a domain of a service, or an entry of a list as ``Entry.filed_as`` writes it."""
_NO_LIST: frozenset[str] = frozenset()
_GRANTED = {
    GrantKind.EXEMPTION: Reason.EXEMPTION,
    GrantKind.ACKNOWLEDGEMENT: Reason.ACKNOWLEDGED,
    GrantKind.JUSTIFICATION: Reason.JUSTIFIED,
}


@dataclass(frozen=True, slots=True)
class _Scan:
    """What one pass over the rules found; ``open`` are rules that could match once more is known."""

    settled: CompiledRule | None
    needs: frozenset[Facet]
    open: tuple[Rule, ...]
    shadows: tuple[Rule, ...]
    boundary: datetime | None


@dataclass(slots=True)
class _Pass:
    """The running state of a scan."""

    needs: frozenset[Facet] = MATCHES
    open: list[Rule] = field(default_factory=list)
    shadows: list[Rule] = field(default_factory=list)
    boundaries: list[datetime] = field(default_factory=list)

    def result(self, settled: CompiledRule | None) -> _Scan:
        boundary = min(self.boundaries, default=None)
        return _Scan(settled, self.needs, tuple(self.open), tuple(self.shadows), boundary)


@dataclass(frozen=True)
class Policy:
    """One compiled policy, immutable; a reload builds another and exchanges the reference."""

    revision: str
    segments: SegmentTable
    index: DomainIndex[Listing]
    rules: dict[str, tuple[CompiledRule, ...]]
    """For each segment: exemptions, global rules and its own, in the order they are asked."""
    exemptions: frozenset[str]
    """Ids of the rules above that stand for exemptions."""
    large_lists: ListIndex | None = None
    """Lists that are kept apart from the index, since there are too many names on them."""
    unknown_clients: Segment | None = None
    """The segment that clients of no segment are served as; None: they are refused."""
    grants: Grants = NOTHING_GRANTED
    """What was granted while the filter runs."""

    def granting(self, grants: Grants) -> Policy:
        """The same policy with another snapshot of what was granted; nothing is compiled again."""
        return replace(self, grants=grants)

    def segment_of(self, client: IPAddress) -> Segment | None:
        """The segment that serves this client; None: the client is refused."""
        return self.segments.find(client) or self.unknown_clients

    def decide(self, request: AccessRequest, *, at: datetime) -> Outcome:
        """Answer for what is known of the request at this instant; never raises.

        The numbers are those of docs/explanation/how-a-decision-is-made.md.
        """
        facts = self.facts(request)
        # 0) a client of no segment is refused
        segment = self.segment_of(request.client)
        if segment is None:
            return Decision(
                Action.BLOCK, Reason.UNKNOWN_CLIENT, UNKNOWN_SEGMENT, facts.service, policy_revision=self.revision
            )
        # 1) exemptions win over everything
        # 2) global rules, then the segment's, first match; 2a) outside its schedule a rule does not match
        # 2b) what a person confirmed or justified lets past the one rule that it was given for
        scan = _scan(self.candidates(segment, request), request, facts, at)
        # 3) the segment's default
        settled = scan.settled.rule if scan.settled else default_rule(segment)
        # 4) a rule that could still match makes it undetermined, unless it would change nothing
        if any(_effect(rule) != _effect(settled) for rule in scan.open):
            return self._undetermined(segment, facts, scan, settled)
        return self._decision(segment, facts, scan, settled)

    def candidates(self, segment: Segment, request: AccessRequest) -> Iterable[CompiledRule]:
        """Every rule in the order it is asked, with what was granted where it holds; the default is not among them."""
        rules = self.rules[segment.name]
        return self._with_grants(segment, rules, request) if self.grants else rules

    def _with_grants(
        self, segment: Segment, rules: Iterable[CompiledRule], request: AccessRequest
    ) -> Iterator[CompiledRule]:
        yield from self.grants.exemptions(request)
        for candidate in rules:
            yield from self.grants.passes(segment.name, candidate, request)
            yield candidate
        if not segment.default.lets_through:
            yield from self.grants.passes(segment.name, CompiledRule.of(default_rule(segment)), request)

    def facts(self, request: AccessRequest) -> Facts:
        """What the catalogue and the lists say of the destination."""
        if request.name is None:
            return Facts(None)
        groups = self.index.lookup(request.name)
        listed = [[entry for entry in group if isinstance(entry, str)] for group in groups]
        lists = _lists(listed, request.name) if listed else _NO_LIST
        if self.large_lists is not None:
            lists |= _lists(self.large_lists.lookup(request.name), request.name)
        possible: list[Service] = []
        for service, domain in _service_domains(groups):
            belongs = _belongs(domain, request.path)
            if belongs:
                return Facts(service, tuple(possible), lists)
            if belongs is None:
                possible.append(service)
        return Facts(None, tuple(possible), lists)

    def _decision(self, segment: Segment, facts: Facts, scan: _Scan, settled: Rule) -> Decision:
        grant = scan.settled.grant if scan.settled else None
        reason = self._reason(scan.settled)
        return Decision(
            action=settled.action,
            reason=reason,
            segment=segment.name,
            service=facts.service,
            rule=_rule_of(scan.settled) if reason is not Reason.EXEMPTION else None,
            exemption=settled.id if reason is Reason.EXEMPTION else None,
            grant=grant.id if grant else None,
            shadows=scan.shadows,
            policy_revision=self.revision,
            valid_until=scan.boundary,
            bypass=self._bypass(segment, facts, settled if reason is not Reason.SEGMENT_DEFAULT else None),
        )

    def _bypass(self, segment: Segment, facts: Facts, settled: Rule | None) -> str | None:
        """Where nothing is filtered there is nothing to get round, and what a rule lets pass by name is none."""
        if not facts.lists or not self.rules[segment.name]:
            return None
        let = settled is not None and settled.action.lets_through and settled.when.names_a_destination
        return None if let else technique_of(facts.lists)

    def _reason(self, settled: CompiledRule | None) -> Reason:
        if settled is None:
            return Reason.SEGMENT_DEFAULT
        if settled.grant:
            return _GRANTED[settled.grant.kind]
        return Reason.EXEMPTION if settled.rule.id in self.exemptions else Reason.RULE

    def _undetermined(self, segment: Segment, facts: Facts, scan: _Scan, settled: Rule) -> Undetermined:
        return Undetermined(
            needs=scan.needs,
            segment=segment.name,
            candidates=(*scan.open, settled),
            service=facts.service,
            shadows=scan.shadows,
            policy_revision=self.revision,
            valid_until=scan.boundary,
            bypass=self._bypass(segment, facts, None),
        )


def _lists(groups: list[list[str]], name: DomainName) -> frozenset[str]:
    """Lists that carry the name; only an entry with a mark, which has a space, can take it out of one."""
    filed = _NO_LIST.union(*groups)
    return carrying(groups, name) if any(" " in entry for entry in filed) else filed


def _scan(rules: Iterable[CompiledRule], request: AccessRequest, facts: Facts, at: datetime) -> _Scan:
    seen = _Pass()
    for candidate in rules:
        rule = candidate.rule
        needs = missing(candidate, request, facts)
        if needs is None:
            continue
        if boundary := next_change(rule.schedule, at):
            seen.boundaries.append(boundary)
        if not holds(rule.schedule, at):
            continue
        if rule.mode is Mode.SHADOW:
            seen.shadows += [] if needs else [rule]
        elif needs:
            seen.open.append(rule)
            seen.needs |= needs
        else:
            return seen.result(candidate)
    return seen.result(None)


_DEFAULTS = {action: Rule(id="", action=action) for action in Action}


def default_rule(segment: Segment) -> Rule:
    """The segment's default as a rule, without an id."""
    return _DEFAULTS[segment.default]


def _rule_of(settled: CompiledRule | None) -> Rule | None:
    """The rule of the configuration behind it; a segment's default is none."""
    rule = settled and (settled.passed or settled.rule)
    return rule if rule and rule.id else None


def _effect(rule: Rule) -> tuple[object, ...]:
    """What an enforcement point would do differently."""
    return rule.action, rule.tenant


def _service_domains(groups: list[list[Listing]]) -> Iterator[tuple[Service, ServiceDomain]]:
    return (entry for group in groups for entry in group if not isinstance(entry, str))


def _belongs(domain: ServiceDomain, path: str | Unknown) -> bool | None:
    """Whether a request to this domain is one for its service; None: only the path can tell."""
    if not domain.shared:
        return True
    if not domain.paths:
        return False
    return None if isinstance(path, Unknown) else path.startswith(domain.paths)
