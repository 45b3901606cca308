"""Raw settings of users to those in force, with the checks that concern them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path as FilePath

from sumun.config.raw import RawConfig
from sumun.config.raw_users import RawLdap, RawUsers
from sumun.config.rules import Report
from sumun.config.user_settings import IdentityHeader, Ldap, UserSettings
from sumun.model.segment import Authenticate


def build_users(raw: RawUsers | None) -> UserSettings | None:
    """What the file says of users; None: nobody is asked."""
    if raw is None:
        return None
    return UserSettings(
        realm=raw.realm,
        htpasswd=_path(raw.htpasswd),
        groups=_path(raw.groups),
        ldap=_ldap(raw.ldap) if raw.ldap else None,
        header=IdentityHeader(raw.header.user, raw.header.groups or "") if raw.header else None,
        remember=raw.remember,
    )


def check_users(raw: RawConfig, fault: Report) -> None:
    """What has to stand together."""
    users = raw.users
    if users and users.htpasswd and users.ldap:
        fault(("users", "ldap"), "`htpasswd` and `ldap` both say who users are: give one of them")
    if users and users.groups and not users.htpasswd:
        fault(("users", "groups"), "`groups` goes with `htpasswd`: a directory has groups of its own")
    if users and users.header and not raw.listen.proxy.trusted:
        fault(("users", "header"), "`header` is believed of listed parents only: name them in `listen.proxy.trusted`")
    if users and users.ldap:
        _check_ldap(users.ldap, fault)
    tls = raw.listen.proxy.tls
    if tls and tls.client_ca and users is None:
        fault(("listen", "proxy", "tls", "client_ca"), "certificates that name users need `users`, maybe empty: `{}`")
    known = users is not None and bool(users.htpasswd or users.ldap or (tls and tls.client_ca))
    for name, segment in raw.segments.items():
        if segment.proxy.authenticate is not Authenticate.NONE and not known:
            why = "nobody can say who they are: give `users.htpasswd`, `users.ldap` or `listen.proxy.tls.client_ca`"
            fault(("segments", name, "proxy", "authenticate"), why)


def _check_ldap(raw: RawLdap, fault: Report) -> None:
    if raw.user_dn and "{user}" not in raw.user_dn:
        fault(("users", "ldap", "user_dn"), "`user_dn` has no `{user}` in it: everybody would be the same")
    if not raw.user_dn and "{user}" not in raw.filter:
        fault(("users", "ldap", "filter"), "`filter` has no `{user}` in it: everybody would be the same")
    if bool(raw.bind_dn) != bool(raw.bind_password):
        fault(("users", "ldap"), "`bind_dn` and `bind_password` go together")
    if raw.group_base and "{user}" not in raw.group_filter and "{dn}" not in raw.group_filter:
        fault(("users", "ldap", "group_filter"), "`group_filter` has neither `{dn}` nor `{user}` in it")


def _ldap(raw: RawLdap) -> Ldap:
    return Ldap(
        servers=tuple(raw.servers),
        base=raw.base,
        ca=None if raw.ca == "system" else FilePath(raw.ca),
        user_dn=raw.user_dn,
        bind_dn=raw.bind_dn,
        bind_password=_path(raw.bind_password),
        filter=raw.filter,
        name=raw.name,
        member_of="" if raw.member_of == "none" else raw.member_of,
        group_base=raw.group_base,
        group_filter=raw.group_filter,
        group_name=raw.group_name,
        timeout=timedelta(seconds=raw.timeout),
        connections=raw.connections,
    )


def _path(text: str) -> FilePath | None:
    return FilePath(text) if text else None
