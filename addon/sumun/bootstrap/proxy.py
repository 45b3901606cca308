"""The part that serves the proxy."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sumun.bootstrap.clock import now
from sumun.bootstrap.process import Process, upstreams_of
from sumun.config.user_settings import UserSettings
from sumun.store.key import form_key
from sumun.store.watch import INTERVAL

if TYPE_CHECKING:
    from sumun.proxy.forms import Book  # mitmproxy is an extra: a DNS-only host does without
    from sumun.proxy.parts import Parts
    from sumun.proxy.ports import Resolver
    from sumun.proxy.server import Proxy
    from sumun.users.asking import Users


def proxy(process: Process, at_the_end: AsyncExitStack) -> Proxy:
    """Put the proxy together; what it holds open is closed at the end. Raises StoreFault and UsersFault."""
    from sumun.proxy.server import Proxy

    upstreams = upstreams_of(process.settings, process.metrics)
    at_the_end.push_async_callback(upstreams.close)
    made = parts(process, upstreams)
    if made.users:
        at_the_end.callback(made.users.close)
    return Proxy(made, reuse_port=True)  # beside other workers, or one that takes this one's place


def parts(process: Process, upstreams: Resolver) -> Parts:
    """What the proxy is made of, behind our gate or inside another mitmproxy; raises StoreFault and UsersFault."""
    from sumun.pages.render import render
    from sumun.proxy.parts import Parts

    settings = process.settings
    return Parts(
        settings=settings,
        policy=process.policy,
        organisation=process.organisation,
        events=process.recorder,
        metrics=process.metrics,
        resolver=upstreams,
        pages=render,
        ca_folder=settings.state / "ca",
        clock=now,
        book=book(process),
        users=users(settings.users) if settings.users else None,
    )


def users(settings: UserSettings) -> Users | None:
    """Where users are known; None: only parents say who asks. Raises UsersFault."""
    from sumun.users.asking import Users

    remember = settings.remember.total_seconds()
    if settings.htpasswd:
        from sumun.users.file import UserFile

        return Users(UserFile(settings.htpasswd, settings.groups), remember=remember)
    if settings.ldap:
        from sumun.users.ldap import LdapDirectory

        ldap = settings.ldap
        within = 2 * ldap.timeout.total_seconds()
        return Users(LdapDirectory.of(ldap), remember=remember, within=within, at_once=ldap.connections)
    return None


def book(process: Process) -> Book:
    """Where forms of the pages are kept; raises StoreFault."""
    from sumun.proxy.forms import Book

    several = process.settings.listen.proxy.workers > 1
    settle = 2 * INTERVAL if several else 0.0
    return Book(form_key(process.settings.state), process.watch, process.grant_log, settle)
