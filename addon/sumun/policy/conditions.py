"""Does a rule match what is known of a request?

The answer has three values, written as *what is missing*: nothing (``frozenset()``) means the rule matches,
``None`` means it cannot match whatever is learnt, and anything else names what would settle it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import translate

from sumun.model.grant import Grant
from sumun.model.name import IPAddress, plain
from sumun.model.request import AccessRequest, Facet, Unknown
from sumun.model.rule import IPNetwork, Rule
from sumun.model.service import Service
from sumun.model.user import GROUP
from sumun.policy.domain_index import DomainIndex

type Missing = frozenset[Facet] | None
MATCHES: frozenset[Facet] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the index says of a request's destination."""

    service: Service | None
    """The service, as far as the name alone tells."""
    possible: tuple[Service, ...] = ()
    """Services the request belongs to if its path says so (shared domains)."""
    lists: frozenset[str] = frozenset()
    """Lists that carry the name."""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule with its patterns made ready."""

    rule: Rule
    domains: DomainIndex[None] | None
    models: re.Pattern[str] | None
    service_test: Callable[[Service | None], bool] | None
    """All conditions on the service as one; None: there are none."""
    grant: Grant | None = None
    """What this rule stands for, where it was granted while the filter runs."""
    passed: Rule | None = None
    """The rule whose warning or question this one passes."""

    @classmethod
    def of(cls, rule: Rule) -> CompiledRule:
        """Compile once, when a policy is built."""
        when = rule.when
        domains = None if when.domains is None else DomainIndex((pattern, None) for pattern in when.domains)
        models = None if when.models is None else re.compile("|".join(map(translate, when.models)), re.IGNORECASE)
        return cls(rule, domains, models, service_condition(rule))


def missing(rule: CompiledRule, request: AccessRequest, facts: Facts) -> Missing:
    """What must still be known for the rule to match; see the module for the three values."""
    needs = MATCHES
    for answer in _answers(rule, request, facts):
        if answer is None:
            return None
        needs |= answer
    return needs


def _answers(rule: CompiledRule, request: AccessRequest, facts: Facts) -> Iterator[Missing]:
    """One answer a condition given, the cheapest and most telling first."""
    when = rule.rule.when
    if when.clients is not None:
        yield _settled(_inside(request.client, when.clients))
    if rule.domains is not None:
        yield _settled(request.name is not None and rule.domains.covers(request.name))
    if when.lists is not None:
        yield _settled(not when.lists.isdisjoint(facts.lists))
    if rule.service_test is not None:
        yield _of_service(facts, rule.service_test)
    yield from _inner_answers(rule, request)


def _inner_answers(rule: CompiledRule, request: AccessRequest) -> Iterator[Missing]:
    """Conditions on what only the http point knows."""
    when, models = rule.rule.when, rule.models
    if when.users is not None:
        users = when.users
        yield _known(request.user, Facet.USER, lambda user: user is not None and _is_one(users, user, request.groups))
    if models is not None:
        yield _known(request.model, Facet.MODEL, lambda model: model is not None and bool(models.match(model)))
    if when.content is not None:
        content = when.content
        yield _known(request.content, Facet.CONTENT, lambda found: not content.isdisjoint(found))
    if when.uploads is not None:
        uploads = when.uploads
        yield _known(request.uploads, Facet.UPLOADS, lambda seen: seen is uploads)


def _settled(answer: bool) -> Missing:
    return MATCHES if answer else None


def _known[V](value: V | Unknown, facet: Facet, test: Callable[[V], bool]) -> Missing:
    return frozenset({facet}) if isinstance(value, Unknown) else _settled(test(value))


def _is_one(users: frozenset[str], user: str, groups: frozenset[str]) -> bool:
    return user in users or any(GROUP + group in users for group in groups)


def _inside(client: IPAddress, networks: tuple[IPNetwork, ...]) -> bool:
    client = plain(client)
    return any(client in network for network in networks)


def _of_service(facts: Facts, test: Callable[[Service | None], bool]) -> Missing:
    answers = {test(service) for service in (facts.service, *facts.possible)}
    if len(answers) == 1:
        return _settled(answers.pop())
    return frozenset({Facet.PATH})


def service_condition(rule: Rule) -> Callable[[Service | None], bool] | None:
    """All conditions on the service as one test, so that they are asked of the same service.

    A rule that looks inside requests and names no destination means the catalogue's services only: a
    condition on content must never widen decryption to the rest of the internet.
    """
    when = rule.when
    anything = (when.services, when.categories, when.vendor_countries, when.data_countries, when.on_premises)
    if all(given is None for given in anything):
        implied = when.looks_inside and not when.names_a_destination
        return (lambda service: service is not None) if implied else None

    def test(service: Service | None) -> bool:
        return service is not None and (
            (when.services is None or service.id in when.services)
            and (when.categories is None or "*" in when.categories or service.category in when.categories)
            and (when.vendor_countries is None or not when.vendor_countries.isdisjoint(service.vendor_countries))
            and (when.data_countries is None or not when.data_countries.isdisjoint(service.data_countries))
            and (when.on_premises is None or when.on_premises is (service.on_premises is True))
        )

    return test
