"""What was granted while the filter runs, made ready for the decision point.

A snapshot is immutable; another takes its place as a whole, beside a compiled policy that stays what it is
(``Policy.granting``). An exemption is a rule ahead of all others. A confirmed warning or a justification is a rule
just ahead of the one that it passes: the same conditions, narrowed to one client or user and one destination.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from sumun.model.grant import Grant, GrantKind, Subject
from sumun.model.name import IPAddress, plain
from sumun.model.request import AccessRequest, Unknown
from sumun.model.rule import Action, Conditions, Exemption, IPNetwork, Mode, Rule
from sumun.model.schedule import Schedule
from sumun.model.text import Text
from sumun.model.user import GROUP
from sumun.policy.conditions import CompiledRule, service_condition

_PASSED_BY = {Action.WARN: GrantKind.ACKNOWLEDGEMENT, Action.JUSTIFY: GrantKind.JUSTIFICATION}


def exemption_rule(exemption: Exemption) -> Rule:
    """An exemption is a rule ahead of all others; its id cannot be one that a rule may have."""
    return Rule(
        id=f"exemption:{exemption.id}",
        action=Action.ALLOW,
        when=Conditions(
            services=frozenset({exemption.service}),
            clients=None if exemption.client is None else (exemption.client,),
            users=None if exemption.user is None else frozenset({exemption.user}),
        ),
        schedule=Schedule(until=exemption.until),
        reason=Text.of(exemption.reason),
        approver=exemption.approver,
    )


class Grants:
    """Immutable after construction; a client that was granted nothing costs a few dict look-ups."""

    def __init__(self, grants: Iterable[Grant] = (), answers: Mapping[Subject, bool] | None = None) -> None:
        """Take what holds or has held; ``answers``: requests not approved, True for those that still wait."""
        self._answers = {subject.key: waits for subject, waits in (answers or {}).items()}
        self._exempt_clients = _Networks[CompiledRule]()
        self._exempt_users: dict[str, list[CompiledRule]] = {}
        self._passes: dict[tuple[str, str], _Holders] = {}
        for grant in sorted(grants, key=lambda grant: grant.until, reverse=True):  # the longest settles it
            if grant.kind is GrantKind.EXEMPTION:
                self._add_exemption(grant)
            else:
                self._passes.setdefault((grant.segment, grant.rule), _Holders()).add(grant)
        self._passing_clients = frozenset(c for holders in self._passes.values() for c in holders.by_client)

    def __bool__(self) -> bool:
        """Whether anything was granted to anybody."""
        return bool(self._passes or self._exempt_clients or self._exempt_users)

    def exemptions(self, request: AccessRequest) -> Iterator[CompiledRule]:
        """Exemptions that could be this client's or user's."""
        yield from self._exempt_clients.find(request.client)
        yield from _of_user(self._exempt_users, request)

    def passes(self, segment: str, candidate: CompiledRule, request: AccessRequest) -> Iterator[CompiledRule]:
        """For a rule that warns or asks why: what lets this client or user past it."""
        kind = _PASSED_BY.get(candidate.rule.action) if candidate.rule.mode is Mode.ENFORCE else None
        holders = self._passes.get((segment, candidate.rule.id)) if kind else None
        if holders is None:
            return
        for grant in holders.find(request):
            approved = grant.approver or not candidate.rule.approver
            if grant.kind is kind and approved and grant.name == ("" if grant.service else destination(request)):
                yield _narrowed(candidate, grant)

    def concern(self, client: IPAddress) -> bool:
        """Whether this client may be answered otherwise than its neighbours in the segment."""
        client = plain(client)
        return client in self._passing_clients or any(True for _ in self._exempt_clients.find(client))

    def answer(self, subject: Subject) -> bool | None:
        """True: a request waits for its approver; False: it was denied lately; None: there is none."""
        return self._answers.get(subject.key)

    def _add_exemption(self, grant: Grant) -> None:
        exemption = Exemption(
            grant.id, grant.service, grant.until, grant.client, grant.user, grant.reason, grant.approver
        )
        compiled = replace(CompiledRule.of(exemption_rule(exemption)), grant=grant)
        if grant.client is not None:
            self._exempt_clients.add(grant.client, compiled)
        elif grant.user is not None:
            self._exempt_users.setdefault(grant.user, []).append(compiled)


def destination(request: AccessRequest) -> str:
    """What stands for a destination of no service."""
    return str(request.name or request.address or "")


class _Holders:
    """Who may pass one rule."""

    def __init__(self) -> None:
        self.by_client: dict[IPAddress, list[Grant]] = {}
        self._by_user: dict[str, list[Grant]] = {}

    def add(self, grant: Grant) -> None:
        if grant.client is not None:
            self.by_client.setdefault(plain(grant.client.network_address), []).append(grant)
        elif grant.user is not None:
            self._by_user.setdefault(grant.user, []).append(grant)

    def find(self, request: AccessRequest) -> Iterator[Grant]:
        yield from self.by_client.get(plain(request.client), ())
        yield from _of_user(self._by_user, request)


def _of_user[T](held: Mapping[str, list[T]], request: AccessRequest) -> Iterator[T]:
    """Those of one user and their groups; of every user where nobody knows yet who it is."""
    if isinstance(request.user, Unknown):
        for several in held.values():
            yield from several
    elif request.user is not None and held:
        yield from held.get(request.user, ())
        for group in request.groups:
            yield from held.get(GROUP + group, ())


class _Networks[T]:
    """Networks to values; unlike the segments of clients they may overlap, and all that hold a client count."""

    def __init__(self) -> None:
        self._levels: dict[int, dict[int, dict[int, list[T]]]] = {4: {}, 6: {}}

    def __bool__(self) -> bool:
        return any(self._levels.values())

    def add(self, network: IPNetwork, value: T) -> None:
        shift = network.max_prefixlen - network.prefixlen
        prefixes = self._levels[network.version].setdefault(shift, {})
        prefixes.setdefault(int(network.network_address) >> shift, []).append(value)

    def find(self, client: IPAddress) -> Iterator[T]:
        client = plain(client)
        number = int(client)
        for shift, prefixes in self._levels[client.version].items():
            yield from prefixes.get(number >> shift, ())


def _narrowed(candidate: CompiledRule, grant: Grant) -> CompiledRule:
    rule = candidate.rule
    when = rule.when
    if grant.service:
        services = frozenset({grant.service})
        when = replace(when, services=services if when.services is None else when.services & services)
    if grant.user is not None:
        users = frozenset({grant.user})
        when = replace(when, users=users if when.users is None else when.users & users)
    until = _earlier(rule.schedule.until, grant.until)
    passing = replace(
        rule, id=f"{grant.kind}:{grant.id}", action=Action.ALLOW, when=when,
        schedule=replace(rule.schedule, until=until),
    )  # fmt: skip
    return replace(candidate, rule=passing, service_test=service_condition(passing), grant=grant, passed=rule)


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)


NOTHING_GRANTED = Grants()
