"""The part that serves the console, and how a role is asked whether it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sumun.bootstrap.clock import now
from sumun.bootstrap.process import Process
from sumun.bootstrap.role import Role
from sumun.config.settings import ListSource, Settings
from sumun.console.probes import Probe, ProbeFailed, dns_answers, tcp_connects
from sumun.console.view import ListView, LoadedView
from sumun.loading.active import ActivePolicy
from sumun.loading.record import ListStore
from sumun.store.desk import Desk
from sumun.store.key import form_key

if TYPE_CHECKING:
    from sumun.console.console import Console  # loaded by its own process only

_PROBE_LIMIT = 2.0
"""Seconds that a role has to answer."""


def console(process: Process, _at_the_end: AsyncExitStack) -> Console:
    """Put the console together."""
    from sumun.console.console import Console
    from sumun.console.grants import GrantsPage

    settings = process.settings

    def loaded() -> LoadedView:
        return _view(process.active)

    desk = Desk(process.watch.store, process.grant_log)
    grants = GrantsPage(desk=desk, key=form_key(settings.state), loaded=loaded, clock=now)
    return Console(
        settings=settings,
        loaded=loaded,
        metrics_folder=settings.state / "metrics",
        probes=_probes(settings, [Role.DNS, Role.PROXY]),
        clock=now,
        areas=grants.routes(),
    )


def _view(active: ActivePolicy) -> LoadedView:
    """What the console is told, in its own words."""
    loaded = active.current
    return LoadedView(
        revision=loaded.revision,
        segments=loaded.config.segments,
        rules=loaded.config.rules,
        lists={source.id: _list_view(source, active) for source in loaded.sources},
        last_reload_ok=active.last_reload_ok,
        last_success=active.last_success,
        exemptions=loaded.config.exemptions,
        zone=loaded.config.settings.zone,
    )


def _list_view(source: ListSource, active: ActivePolicy) -> ListView:
    found, state = active.current.lists[source.id], active.current.config.settings.state
    if not source.url:
        return ListView(found.entries, found.refused, active.last_success if found.present else None)
    record = ListStore(state).record(source.id)
    since = record.confirmed_at or (active.last_success if found.present else None)
    return ListView(found.entries, found.refused, since, record.message, subscribed=True)


def _probes(settings: Settings, roles: Sequence[Role]) -> dict[str, Probe]:
    listen = settings.listen
    probes = {
        Role.DNS: dns_answers(listen.dns.address, listen.dns.port),
        Role.PROXY: tcp_connects(listen.proxy.address, listen.proxy.port),
        Role.CONSOLE: tcp_connects(listen.console.address, listen.console.port),
    }
    return {role.value: probes[role] for role in roles}


async def probe(settings: Settings, roles: Sequence[Role]) -> dict[str, str]:
    """Ask each role a real question: why it does not answer, or an empty text."""
    return {role: await _why_not(ask) for role, ask in _probes(settings, roles).items()}


async def _why_not(ask: Probe) -> str:
    try:
        await asyncio.wait_for(ask(), _PROBE_LIMIT)
    except ProbeFailed as failed:
        return str(failed)
    except TimeoutError:
        return f"no answer within {_PROBE_LIMIT:.0f} s"
    return ""
