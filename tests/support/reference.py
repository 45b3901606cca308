"""The policy decision said again without indexes or partial evaluation: slow, obvious, and independent.

It answers for requests of which everything is known; the engine must agree with it on those, and must not have
called anything final that one of these contradicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from sumun.model.grant import Grant, GrantKind
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.model.request import AccessRequest
from sumun.model.rule import Action, Exemption, Mode, Rule
from sumun.model.segment import Segment
from sumun.model.service import Match, Pattern, Service, ServiceDomain
from sumun.policy.compile import PolicySource
from sumun.policy.schedule import holds


@dataclass(frozen=True)
class Expected:
    action: Action
    rule: str | None
    exemption: str | None = None
    grant: str | None = None


def decide(source: PolicySource, request: AccessRequest, at: datetime, grants: Sequence[Grant] = ()) -> Expected:
    segment = segment_of(source, request)
    if segment is None:
        return Expected(Action.BLOCK, None)
    service = service_of(source, request)
    held = sorted((grant for grant in grants if _holds(grant, request, at)), key=lambda g: g.until, reverse=True)
    for grant in held:
        if grant.kind is GrantKind.EXEMPTION and service is not None and grant.service == service.id:
            return Expected(Action.ALLOW, None, grant.id)
    for exemption in source.exemptions:
        if _exempts(exemption, request, service, at):
            return Expected(Action.ALLOW, None, exemption.id)
    for rule in (*source.rules, *segment.rules):
        if rule.mode is Mode.ENFORCE and holds(rule.schedule, at) and _matches(source, rule, request, service):
            passed = _passed(held, segment, rule, request, service)
            return Expected(Action.ALLOW if passed else rule.action, rule.id, grant=passed)
    passed = _passed(held, segment, Rule("", segment.default), request, service)
    return Expected(Action.ALLOW if passed else segment.default, None, grant=passed)


def _holds(grant: Grant, request: AccessRequest, at: datetime) -> bool:
    is_theirs = request.client in grant.client if grant.client else request.user == grant.user
    return at < grant.until and is_theirs


def _passed(
    held: Sequence[Grant], segment: Segment, rule: Rule, request: AccessRequest, service: Service | None
) -> str | None:
    wanted = {Action.WARN: GrantKind.ACKNOWLEDGEMENT, Action.JUSTIFY: GrantKind.JUSTIFICATION}.get(rule.action)
    here = str(request.name or "")
    return next(
        (
            grant.id
            for grant in held
            if grant.kind is wanted
            and (grant.segment, grant.rule) == (segment.name, rule.id)
            and (bool(grant.approver) or not rule.approver)
            and (service is not None and service.id == grant.service if grant.service else grant.name == here)
        ),
        None,
    )


def segment_of(source: PolicySource, request: AccessRequest) -> Segment | None:
    containing = [(n.prefixlen, s) for s in source.segments for n in s.networks if request.client in n]
    if containing:
        return max(containing, key=lambda pair: pair[0])[1]
    return next((s for s in source.segments if s.name == source.unknown_clients), None)


def service_of(source: PolicySource, request: AccessRequest) -> Service | None:
    if request.name is None:
        return None
    found = [
        (rank(domain.pattern, request.name), service)
        for service in source.services
        for domain in service.domains
        if covers(domain.pattern, request.name) and _counts(domain, request)
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _counts(domain: ServiceDomain, request: AccessRequest) -> bool:
    return not domain.shared or any(str(request.path).startswith(prefix) for prefix in domain.paths)


def covers(pattern: Pattern, name: DomainName) -> bool:
    wanted, labels = pattern.text.split("."), name.text.split(".")
    if pattern.match is Match.EXACT:
        return wanted == labels
    if pattern.match is Match.GLOB:
        return len(wanted) == len(labels) and all(
            fnmatchcase(label, want.replace("*", "?*")) for want, label in zip(wanted, labels, strict=True)
        )
    return labels[-len(wanted) :] == wanted


def carries(entries: Iterable[Entry], name: DomainName) -> bool:
    """By the highest rank, then the most specific entry (globs are all alike), then the one that lists the name."""
    speaking = [
        (
            entry.hold.rank,
            (2, 0) if entry.pattern.match is Match.GLOB else rank(entry.pattern, name),
            entry.hold.carries,
        )
        for entry in entries
        if covers(entry.pattern, name) and not any(covers(Pattern(spared), name) for spared in entry.unless)
    ]
    return max(speaking, default=(0, (0, 0), False))[2]


def rank(pattern: Pattern, name: DomainName) -> tuple[int, int]:
    """The name itself (exact, then suffix), then globs, then suffixes by length."""
    if pattern.text == name.text:
        return (3, int(pattern.match is Match.EXACT))
    return (2, len(pattern.text)) if pattern.match is Match.GLOB else (1, len(pattern.text))


def _exempts(exemption: Exemption, request: AccessRequest, service: Service | None, at: datetime) -> bool:
    return (
        at < exemption.until
        and service is not None
        and service.id == exemption.service
        and (exemption.client is None or request.client in exemption.client)
        and (exemption.user is None or exemption.user == request.user)
    )


def _matches(source: PolicySource, rule: Rule, request: AccessRequest, service: Service | None) -> bool:
    when, name = rule.when, request.name
    assert isinstance(request.content, frozenset)
    on_name = [
        when.services is None or (service is not None and service.id in when.services),
        when.categories is None
        or (service is not None and ("*" in when.categories or service.category in when.categories)),
        when.vendor_countries is None
        or (service is not None and bool(when.vendor_countries & {service.vendor_country, service.parent_country})),
        when.data_countries is None or (service is not None and bool(when.data_countries & service.data_countries)),
        when.domains is None or (name is not None and any(covers(p, name) for p in when.domains)),
        when.on_premises is None or (service is not None and when.on_premises == bool(service.on_premises)),
        when.lists is None
        or (name is not None and any(carries(source.lists.get(list_id, ()), name) for list_id in when.lists)),
    ]
    inside = [
        when.users is None or request.user in when.users,
        when.models is None
        or (isinstance(request.model, str) and any(fnmatchcase(request.model.lower(), m.lower()) for m in when.models)),
        when.content is None or bool(when.content & request.content),
        when.uploads is None or request.uploads is when.uploads,
    ]
    catalogue_only = when.looks_inside and not when.names_a_destination
    return (
        all(on_name)
        and all(inside)
        and (when.clients is None or any(request.client in network for network in when.clients))
        and (not catalogue_only or service is not None)
    )
