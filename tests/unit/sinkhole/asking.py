"""Short ways to ask a responder and to read what it says."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_address
from typing import Any

import dns.edns
import dns.message

from sumun.config.settings import PagesListener
from sumun.policy.engine import Policy
from sumun.sinkhole.outcome import Answer, Forward, Response
from sumun.sinkhole.responder import Responder
from tests.support.builders import NOON

PAGES = PagesListener(ip_address("192.0.2.1"), None, 80, 443)
BOTH_FAMILIES = PagesListener(ip_address("192.0.2.1"), ip_address("2001:db8::1"), 80, 443)
ONLY_IPV6 = PagesListener(ip_address("2001:db8::1"), None, 80, 443)
CLIENT = ip_address("10.0.0.1")


def query(name: str, type_: str = "A", **more: Any) -> bytes:
    return dns.message.make_query(name, type_, **more).to_wire()


def responder(policy: Policy, pages: PagesListener = PAGES) -> Responder:
    return Responder(policy=lambda: policy, pages=pages)


def ask(it: Responder, wire: bytes, client: str = "10.0.0.1", *, at: datetime = NOON) -> Response:
    return it.on_query(wire, ip_address(client), "udp", at=at)


def answered(wire: bytes, response: Response) -> dns.message.Message:
    """The answer as dnspython reads it, which also checks that it is well-formed."""
    assert isinstance(response, Answer)
    return dns.message.from_wire(wire[:2] + response.body)


def forwarded(response: Response) -> Forward:
    assert isinstance(response, Forward)
    return response


def errors(message: dns.message.Message) -> list[tuple[int, str]]:
    """Extended DNS errors: code and text."""
    return [(int(o.code), o.text or "") for o in message.options if isinstance(o, dns.edns.EDEOption)]


def addresses(message: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in message.answer for record in rrset]
