"""How the proxy learns who its users are, and the proxy behind it, as the file says both."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from sumun.config.user_settings import IdentityHeader, LdapServer
from sumun.model.name import DomainName
from sumun.model.next_proxy import NextProxy, TellClient
from sumun.model.rule import OnPinned
from sumun.model.segment import Authenticate
from tests.unit.config.test_parse import faults, parse

BASE = "version: 1\n"
SEGMENT = "segments: {a: {networks: [10.0.0.0/8], proxy: {authenticate: required}}}\n"


def test_a_directory_with_all_that_can_be_said() -> None:
    config = parse(
        BASE + SEGMENT + "users:\n  realm: Office\n  remember: 1m\n  ldap:\n"
        "    servers: [ldaps://dc.example, 'ldap://[2001:db8::1]:1389']\n    base: dc=example\n"
        "    bind_dn: cn=reader\n    bind_password: secret\n    member_of: none\n    timeout: 2\n"
    )
    users = config.settings.users
    assert users is not None
    assert users.ldap is not None
    assert users.ldap.servers == (LdapServer("dc.example", 636, False), LdapServer("2001:db8::1", 1389, True))
    assert str(users.ldap.servers[1]) == "ldap://[2001:db8::1]:1389"
    assert (users.ldap.member_of, users.ldap.timeout) == ("", timedelta(seconds=2))
    assert (users.realm, users.remember) == ("Office", timedelta(minutes=1))
    assert config.segments[0].proxy.authenticate is Authenticate.REQUIRED


def test_users_and_groups_of_rules_are_canonical() -> None:
    config = parse(
        BASE + "segments: {a: {networks: [10.0.0.0/8]}}\nlisten: {proxy: {trusted: [10.0.0.5/32]}}\n"
        "users: {header: {groups: X-Groups}}\n"
        'rules: [{id: r, action: block, services: [deepseek], users: [Kim, "Group: Research"]}]\n'
    )
    assert config.rules[0].when.users == {"kim", "group:research"}
    assert config.settings.users
    assert config.settings.users.header == IdentityHeader("X-Authenticated-User", "X-Groups")
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SEGMENT, "/segments/a/proxy/authenticate: nobody can say who they are"),
        (SEGMENT + "users: {htpasswd: u, ldap: {servers: [ldaps://a], base: b}}", "/users/ldap: `htpasswd`"),
        ("segments: {a: {}}\nusers: {groups: g}", "/users/groups: `groups` goes with `htpasswd`"),
        ("segments: {a: {}}\nusers: {header: {}}", "/users/header: `header` is believed of listed parents only"),
        (
            "segments: {a: {}}\nusers: {header: {user: Cookie}}",
            "/users/header/user: `Cookie` is not",
        ),
        (
            "segments: {a: {}}\nusers: {ldap: {servers: [http://a], base: b}}",
            "/users/ldap/servers/0: `http://a` is not a server",
        ),
        (
            "segments: {a: {}}\nusers: {ldap: {servers: [ldaps://a], base: b, filter: (uid=kim)}}",
            "/users/ldap/filter: `filter` has no `{user}` in it",
        ),
        (
            "segments: {a: {}}\nusers: {ldap: {servers: [ldaps://a], base: b, user_dn: uid=kim}}",
            "/users/ldap/user_dn: `user_dn` has no `{user}` in it",
        ),
        (
            "segments: {a: {}}\nusers: {ldap: {servers: [ldaps://a], base: b, bind_dn: c}}",
            "/users/ldap: `bind_dn` and `bind_password` go together",
        ),
        ("segments: {a: {}}\nusers: {realm: 'a\"b'}", "cannot be shown"),
        ("segments: {a: {}}\nrules: [{id: r, action: block, users: ['a:b']}]", "no colon"),
        (
            "segments: {a: {}}\nupstream_proxy: {url: 'https://p:1'}",
            "/upstream_proxy/url: `https://p:1` is not",
        ),
        ("segments: {a: {}}\nupstream_proxy: {url: 'http://u:p@p:1'}", "is not a proxy"),
        ("segments: {a: {}}\nupstream_proxy: {url: 'http://p:1', direct: [10.0.0.0/33]}", "/upstream_proxy/direct/0"),
        (
            "segments: {a: {}}\nrules: [{id: r, action: block, services: [deepseek], on_pinned: splice}]",
            "/rules/0/on_pinned: `on_pinned: splice` would let through what `block` stops",
        ),
    ],
)
def test_what_cannot_be_meant_is_a_fault(text: str, message: str) -> None:
    assert any(message in fault for fault in faults(BASE + text + "\n")), faults(BASE + text + "\n")


def test_a_segment_may_have_another_next_proxy_or_none() -> None:
    config = parse(
        BASE + "upstream_proxy: {url: 'http://Parent.example:3128', direct: [intranet.example, 10.0.0.0/8]}\n"
        "segments:\n  a: {}\n  b: {proxy: {upstream_proxy: direct}}\n"
        "  c: {proxy: {upstream_proxy: {url: 'http://192.0.2.1:80', credentials: c, tell_client: proxy-protocol,\n"
        "    timeout: 5}}}\n"
    )
    a, b, c = (segment.proxy.next_proxy for segment in config.segments)
    direct = DomainName("intranet.example"), ip_network("10.0.0.0/8")
    assert a == NextProxy(DomainName("parent.example"), 3128, direct=direct)
    assert b is None
    assert c is not None
    assert (str(c.host), c.credentials, c.tell_client) == ("192.0.2.1", Path("c"), TellClient.PROXY_PROTOCOL)
    assert (a.timeout, c.timeout) == (30, 5)
    assert a.leads_to(DomainName("example.org"))
    assert not a.leads_to(DomainName("www.intranet.example"))
    assert not a.leads_to(ip_network("10.1.2.3/32").network_address)


def test_a_rule_that_looks_inside_may_do_without() -> None:
    config = parse(BASE + "segments: {a: {}}\nrules: [{id: r, action: block, models: ['r1*'], on_pinned: splice}]\n")
    assert config.rules[0].on_pinned is OnPinned.SPLICE
