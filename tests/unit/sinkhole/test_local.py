from __future__ import annotations

from ipaddress import ip_address

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from sumun.config.settings import Resolving
from sumun.model.name import DomainName
from sumun.sinkhole.local import LocalNames
from sumun.sinkhole.outcome import Forward, Source
from sumun.sinkhole.responder import Responder
from tests.support.builders import NOON, three_segments
from tests.unit.sinkhole.asking import PAGES, addresses, answered, ask, errors, forwarded, query

PRINTER, BLOCKED = DomainName.parse("printer.example.test"), DomainName.parse("chat.deepseek.com")
HERE = (ip_address("10.0.0.9"), ip_address("10.0.0.10"), ip_address("fd00::9"))
NAMES = LocalNames.of(Resolving(local=((PRINTER, HERE), (BLOCKED, HERE))))
GUARD = LocalNames.of(Resolving(private_answers=False, private_domains=(DomainName.parse("corp.example.test"),)))


def responder(names: LocalNames) -> Responder:
    return Responder(policy=three_segments, pages=PAGES, names=names)


@pytest.mark.parametrize(
    ("type_", "expected"), [("A", ["10.0.0.9", "10.0.0.10"]), ("AAAA", ["fd00::9"]), ("HTTPS", []), ("TYPE65280", [])]
)
def test_a_local_name_is_answered_here(type_: str, expected: list[str]) -> None:
    wire = query("Printer.Example.test", type_)
    answer = ask(responder(NAMES), wire, "127.0.0.3")
    assert addresses(answered(wire, answer)) == expected
    assert answer.source is Source.LOCAL  # type: ignore[union-attr]  # answered() has made sure
    assert answer.attempt is None  # type: ignore[union-attr]  # as above


def test_it_stands_for_itself_alone() -> None:
    assert isinstance(ask(responder(NAMES), query("a.printer.example.test"), "127.0.0.3"), Forward)


def test_the_policy_comes_first() -> None:
    wire = query("chat.deepseek.com")
    assert addresses(answered(wire, ask(responder(NAMES), wire, "127.0.0.3"))) == ["192.0.2.1"]
    known = ask(responder(NAMES), wire, "127.0.0.1")
    assert addresses(answered(wire, known)) == ["10.0.0.9", "10.0.0.10"]
    assert known.attempt is not None  # type: ignore[union-attr]  # as above


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "db.localhost"])
@pytest.mark.parametrize(("type_", "expected"), [("A", ["127.0.0.1"]), ("AAAA", ["::1"]), ("MX", [])])
def test_localhost_is_this_host_and_nobody_is_asked(name: str, type_: str, expected: list[str]) -> None:
    wire = query(name, type_)
    assert addresses(answered(wire, ask(responder(LocalNames()), wire, "127.0.0.3"))) == expected


def test_names_of_the_tor_network_go_to_no_name_server() -> None:
    wire = query("abcdefghij234567.onion")
    answer = answered(wire, ask(responder(LocalNames()), wire, "127.0.0.3"))
    assert (answer.rcode(), answer.authority[0].rdtype) == (dns.rcode.NXDOMAIN, dns.rdatatype.SOA)
    assert isinstance(ask(responder(LocalNames()), query("onion.example.test"), "127.0.0.3"), Forward)
    mine = LocalNames.of(Resolving(local=((DomainName.parse("here.onion"), HERE),)))
    assert addresses(answered(query("here.onion"), ask(responder(mine), query("here.onion"), "127.0.0.3")))


PRIVATE = ["10.1.2.3", "172.31.0.1", "192.168.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"]
PRIVATE6 = ["::1", "::", "fd00::1", "fe80::1", "::ffff:10.0.0.1"]


def relayed(names: LocalNames, name: str, address: str, type_: str = "") -> dns.message.Message:
    type_ = type_ or ("AAAA" if ":" in address else "A")
    wire = query(name, type_, use_edns=0)
    it = responder(names)
    reply = dns.message.make_response(dns.message.from_wire(wire), recursion_available=True)
    reply.answer = dns.message.from_text(f"id 0\n;ANSWER\n{name}. 60 IN {type_} {address}").answer
    return answered(wire, it.on_reply(forwarded(ask(it, wire, "127.0.0.3")), reply.to_wire(), at=NOON))


@pytest.mark.parametrize("address", [*PRIVATE, *PRIVATE6])
def test_a_public_name_gets_no_private_address(address: str) -> None:
    answer = relayed(GUARD, "www.example.test", address)
    assert (answer.answer, [code for code, _ in errors(answer)]) == ([], [17])
    assert addresses(relayed(GUARD, "intra.corp.example.test", address)) == [address]
    assert addresses(relayed(LocalNames(), "www.example.test", address)) == [address]


@pytest.mark.parametrize("address", ["192.0.2.80", "172.32.0.1", "2001:db8::1", "::2"])
def test_public_addresses_pass(address: str) -> None:
    assert addresses(relayed(GUARD, "www.example.test", address)) == [address]


@pytest.mark.parametrize("type_", ["HTTPS", "SVCB"])
@pytest.mark.parametrize(
    ("hints", "private"),
    [
        ("ipv4hint=192.0.2.7,10.1.2.3", True),
        ("alpn=h2 ipv6hint=2001:db8::7,fd00::1", True),
        ("alpn=h2 port=443 ipv4hint=192.0.2.7 ipv6hint=2001:db8::7", False),
        ("alpn=h2", False),
    ],
)
def test_an_address_hint_is_an_address(type_: str, hints: str, private: bool) -> None:
    answer = relayed(GUARD, "www.example.test", f"1 target.example.test. {hints}", type_)
    assert [code for code, _ in errors(answer)] == ([17] if private else [])
    assert bool(answer.answer) is not private
