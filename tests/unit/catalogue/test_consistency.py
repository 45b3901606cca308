"""Clashes between services are found, and said in words that name the remedy."""

from __future__ import annotations

from dataclasses import replace

from sumun.catalogue.consistency import Conflict, conflicts
from sumun.model.name import DomainName
from sumun.model.service import Pattern, Service, ServiceDomain
from tests.support.builders import exact, service, shared

WIDE = service("wide", "wide.example")


def within(text: str, wider: str) -> ServiceDomain:
    return ServiceDomain(Pattern.parse(text), "web", within=wider)


def reasons(*services: Service, never_block: tuple[str, ...] = ()) -> list[str]:
    return [c.why for c in conflicts(services, tuple(map(DomainName.parse, never_block)))]


def test_services_apart_do_not_clash() -> None:
    assert reasons(WIDE, service("other", "other.example", exact("wide.other.example"))) == []


def test_an_id_given_twice() -> None:
    assert list(conflicts([WIDE, replace(WIDE, domains=())])) == [Conflict("wide", "id is given to 2 services")]


def test_a_name_claimed_twice() -> None:
    assert reasons(WIDE, service("thief", "wide.example")) == [
        "`wide.example` is claimed by `wide` too: one of them must let it go"
    ]


def test_a_shared_name_may_be_known_to_several() -> None:
    assert reasons(WIDE, service("guest", shared("wide.example", "/ai"))) == []


def test_a_name_carved_out_must_say_so() -> None:
    assert reasons(WIDE, service("part", "part.wide.example")) == ["`part.wide.example` should say `within: wide`"]
    assert reasons(WIDE, service("part", exact("wide.example"))) == ["`wide.example` should say `within: wide`"]
    assert reasons(WIDE, service("part", "*-a.wide.example")) == ["`*-a.wide.example` should say `within: wide`"]
    assert reasons(WIDE, service("part", within("part.wide.example", "wide"))) == []


def test_the_nearest_wider_name_counts() -> None:
    middle = service("middle", within("middle.wide.example", "wide"))
    assert reasons(WIDE, middle, service("inner", within("inner.middle.wide.example", "middle"))) == []


def test_a_declaration_that_is_not_true() -> None:
    assert reasons(WIDE, service("apart", within("apart.example", "wide"))) == [
        "`apart.example` should say no `within`"
    ]


def test_a_domain_that_others_need() -> None:
    never = ("www.needed.example",)
    assert reasons(service("a", "needed.example"), never_block=never) == [
        "`needed.example` would block `www.needed.example`, which others need"
    ]
    assert reasons(service("a", exact("www.needed.example")), never_block=never)
    assert reasons(service("a", exact("needed.example")), never_block=never) == []
    assert reasons(service("a", "ai.www.needed.example"), never_block=never) == []
    assert reasons(service("a", shared("needed.example")), never_block=never) == []
