"""What can be wrong between services, where each file by itself is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sumun.catalogue.guard import Guard
from sumun.model.name import DomainName
from sumun.model.service import Match, Service, ServiceDomain


@dataclass(frozen=True, slots=True)
class Conflict:
    """One thing that a contributor has to settle."""

    service: str
    why: str


def conflicts(services: Sequence[Service], never_block: Collection[DomainName] = ()) -> Iterator[Conflict]:
    """Clashes of ids and names, overlaps not declared by ``within``, and domains that must never be blocked whole."""
    for id_, count in Counter(service.id for service in services).items():
        if count > 1:
            yield Conflict(id_, f"id is given to {count} services")
    owners = {d.pattern.text: s.id for s, d in _claims(services) if d.pattern.match is Match.SUFFIX}
    claimed: dict[tuple[str, Match], str] = {}
    for service, domain in _claims(services):
        first = claimed.setdefault((domain.pattern.text, domain.pattern.match), service.id)
        if first != service.id:
            yield Conflict(service.id, f"`{domain.pattern}` is claimed by `{first}` too: one of them must let it go")
        yield from _overlap(service, domain, owners)
    yield from _takes_down(services, never_block)


def _claims(services: Sequence[Service]) -> Iterator[tuple[Service, ServiceDomain]]:
    """Domains that decide by name alone."""
    return ((service, domain) for service in services for domain in service.domains if not domain.shared)


def _overlap(service: Service, domain: ServiceDomain, owners: dict[str, str]) -> Iterator[Conflict]:
    text = domain.pattern.text
    above = (text, *_parents(text)) if domain.pattern.match is Match.EXACT else _parents(text)
    wider = next((owners[parent] for parent in above if parent in owners), service.id)
    actual = "" if wider == service.id else wider
    if actual != domain.within:
        meant = f"`within: {actual}`" if actual else "no `within`"
        yield Conflict(service.id, f"`{domain.pattern}` should say {meant}")


def _takes_down(services: Sequence[Service], never_block: Collection[DomainName]) -> Iterator[Conflict]:
    guard = Guard(never_block)
    for service, domain in _claims(services):
        if name := guard.taken_down_by(domain.pattern):
            yield Conflict(service.id, f"`{domain.pattern}` would block `{name}`, which others need")


def _parents(text: str) -> tuple[str, ...]:
    labels = text.split(".")
    return tuple(".".join(labels[i:]) for i in range(1, len(labels)))
