"""The composition root: the one place where parts meet and the clock is read.

Everything is passed in; nothing is global, so two applications can live in one test process.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry

from sumun.config.settings import ListSource, Settings, Upstream
from sumun.console.probes import Probe, ProbeFailed, dns_answers, tcp_connects
from sumun.console.view import ListView, LoadedView
from sumun.loading.active import ActivePolicy
from sumun.loading.build import Loaded, build, build_services
from sumun.loading.large_lists import kept
from sumun.loading.last_good import state_folder
from sumun.loading.record import ListStore
from sumun.loading.refresh import Refresher
from sumun.loading.sources import read_services, read_sources
from sumun.loading.subscriptions import importer, updater
from sumun.loading.update import Updater
from sumun.model.fault import OperatorFault
from sumun.model.organisation import Organisation
from sumun.model.service import Service
from sumun.policy.engine import Policy
from sumun.policy.grants import Grants
from sumun.store.key import form_key
from sumun.store.store import Store
from sumun.store.watch import INTERVAL, Watch
from sumun.telemetry.grant_log import GrantLog
from sumun.telemetry.json_lines import JsonLines
from sumun.telemetry.metrics import Metrics
from sumun.telemetry.recorder import Recorder
from sumun.telemetry.shared_metrics import share
from sumun.upstream.domains import UpstreamsByDomain
from sumun.upstream.resolver import Upstreams

if TYPE_CHECKING:
    from sumun.proxy.ca import CertificateAuthority  # mitmproxy is an extra: a DNS-only host does without
    from sumun.proxy.forms import Book

_PROBE_LIMIT = 2.0
"""Seconds that a role has to answer."""

_SWITCH = 0.0002
"""Seconds after which the thread that writes the log lets the sinkhole go on; Python's own 0.005 is fifty answers."""


class Role(StrEnum):
    """What a process can be."""

    DNS = "dns"
    PROXY = "proxy"
    CONSOLE = "console"


class CannotStart(OperatorFault):
    """Something outside the configuration is in the way."""


class Part(Protocol):
    """What serves a role."""

    async def start(self) -> object:
        """Listen; raises an exception whose message an administrator can act on."""
        ...

    async def stop(self) -> None:
        """Finish what has begun."""
        ...


def now() -> datetime:
    """The only clock."""
    return datetime.now(UTC)  # noqa: TID251  # the one place


def load(config: Path) -> Loaded:
    """Read and compile once; raises LoadError or ConfigError."""
    sources = read_sources(config)
    return build(sources, at=now(), compile_lists=kept(state_folder(sources.config)))


def settings_in_force(config: Path) -> Settings:
    """The settings of the file, or of the last good one where it is faulty; raises OperatorFault."""
    return ActivePolicy.start(config, clock=now).current.config.settings


def catalogue() -> tuple[Service, ...]:
    """Every service of the catalogue; raises LoadError or ConfigError."""
    return build_services(read_services())


def prepare(config: Path, roles: Sequence[Role]) -> Settings:
    """Everything that must be there before a worker starts; raises LoadError, ConfigError or CannotStart."""
    settings = settings_in_force(config)
    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.state.chmod(0o700)
    except OSError as error:
        raise CannotStart(f"`{settings.state}` (state) cannot be used: {error.strerror}") from error
    if Role.PROXY in roles:
        authority(settings.state)
        form_key(settings.state)  # before two workers make one each
    return settings


def workers(role: Role, settings: Settings) -> int:
    """How many processes serve this role."""
    listen = settings.listen
    return {Role.DNS: listen.dns.workers, Role.PROXY: listen.proxy.workers, Role.CONSOLE: 1}[role]


def authority(state: Path, *, create: bool = True) -> CertificateAuthority:
    """The certificate authority in this state folder, made where there is none yet; raises CannotStart."""
    try:
        from sumun.proxy.ca import CaFault, ensure_ca, load_ca
    except ImportError as error:
        raise CannotStart("the proxy needs mitmproxy: install `sumun[proxy]`") from error
    folder = state / "ca"
    if not create and not folder.exists():
        raise CannotStart(f"there is no certificate authority in `{folder}` yet: `sumun ca init` makes one")
    try:
        return ensure_ca(folder, at=now()) if create else load_ca(folder, at=now())
    except (CaFault, OSError) as error:
        raise CannotStart(str(error)) from error


async def serve(
    role: Role, index: int, config: Path, *, stop: asyncio.Event, reload: asyncio.Event, on_ready: Callable[[], None]
) -> None:
    """Serve one role in this process until ``stop`` is set; raises OperatorFault where it cannot start."""
    process = _beginnings(config, f"{role}-{index}")
    active, recorder = process.active, process.recorder
    async with AsyncExitStack() as at_the_end:
        at_the_end.push_async_callback(asyncio.to_thread, recorder.close)
        at_the_end.push_async_callback(asyncio.to_thread, process.watch.store.close)
        await process.watch.look()
        part = _PARTS[role](process, at_the_end)
        at_the_end.push_async_callback(part.stop)
        await part.start()
        work = [active.watch(), recorder.run(), process.watch.run(), _reload_when(reload, active)]
        if role is Role.CONSOLE:  # one process of a host fetches; all see the new copy
            work.append(_refreshing(process, at_the_end).run())
        on_ready()
        await _until(stop, work)


def _refreshing(process: _Process, at_the_end: AsyncExitStack) -> Refresher:
    started_with = process.settings
    upstreams = _upstreams(started_with, process.metrics)
    at_the_end.push_async_callback(upstreams.close)
    return Refresher(
        lists=lambda: process.settings.lists,
        record=ListStore(started_with.state).record,
        update=updater(started_with, upstreams.addresses, now, os.environ).update,
        metrics=process.metrics,
        clock=now,
    )


async def with_updater[T](
    settings: Settings, do: Callable[[Updater], Awaitable[T]], *, files: Mapping[str, Path] | None = None
) -> T:
    """Do something with lists, outside a serving process; ``files`` stand in place of URLs; raises LoadError."""
    if files is not None:
        return await do(importer(settings, files, now))
    upstreams = _upstreams(settings, Metrics(CollectorRegistry()))
    try:
        return await do(updater(settings, upstreams.addresses, now, os.environ))
    finally:
        await upstreams.close()


@dataclass
class _Process:
    """What every serving process has."""

    active: ActivePolicy
    metrics: Metrics
    recorder: Recorder
    watch: Watch
    grant_log: GrantLog
    _joined: tuple[Policy, Grants, Policy] | None = None

    @property
    def settings(self) -> Settings:
        return self.active.current.config.settings

    def policy(self) -> Policy:
        """The policy in force with what was granted; take it once a request. The same until one of both changes."""
        policy, grants, joined = self.active.current.policy, self.watch.current, self._joined
        if joined is None or joined[0] is not policy or joined[1] is not grants:
            joined = self._joined = policy, grants, policy.granting(grants)
        return joined[2]

    def organisation(self) -> Organisation:
        """As the pages name it."""
        return self.active.current.config.organisation


def _beginnings(config: Path, identity: str) -> _Process:
    """Everything that does not depend on the role; its counts are kept under this identity."""
    active = ActivePolicy.start(config, clock=now)
    settings = active.current.config.settings
    share(settings.state / "metrics", identity)
    metrics = Metrics()
    log = GrantLog(JsonLines(settings.state / "events.jsonl"), metrics)
    store = Store.at(settings.store, settings.state)
    watch = Watch(store, clock=now, tell=log, available=metrics.store_up.labels(store.kind).set)
    recorder = Recorder(metrics, [JsonLines(settings.state / "events.jsonl")], clock=now)
    return _Process(active, metrics, recorder, watch, log)


def desk(loaded: Loaded) -> tuple[Store, GrantLog]:
    """What commands about grants work with; raises StoreFault."""
    settings = loaded.config.settings
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Store.at(settings.store, settings.state), GrantLog(JsonLines(settings.state / "events.jsonl"))


def granted(loaded: Loaded) -> Policy:
    """The policy with what is granted now, as the running filter has it; raises StoreFault."""
    settings, at = loaded.config.settings, now()
    if not settings.store and not (settings.state / "sumun.db").exists():
        return loaded.policy  # the filter has never run here, and asking must not make a file
    found = Store.at(settings.store, settings.state).snapshot(at)
    return loaded.policy.granting(Grants(found.grants, found.answers))


def mitmproxy_addons() -> list[object]:
    """What addon/sumun_addon.py gives to a mitmproxy that somebody else runs."""
    from sumun.proxy.shim import Shim

    return [Shim(_inside_mitmproxy)]


def _inside_mitmproxy(config: Path) -> list[object]:
    from sumun.pages.render import render
    from sumun.proxy.server import standalone_addon

    prepare(config, [Role.PROXY])
    process = _beginnings(config, f"{Role.PROXY}-0")
    settings = process.settings
    addon = standalone_addon(
        settings=settings,
        policy=process.policy,
        organisation=process.organisation,
        events=process.recorder,
        metrics=process.metrics,
        resolver=_upstreams(settings, process.metrics),
        pages=render,
        ca_folder=settings.state / "ca",
        clock=now,
        book=_book(process),
    )
    return [addon, _Chores(process)]


class _Chores:
    """What goes on beside the hooks, as an addon: watching files and store, writing events."""

    def __init__(self, process: _Process) -> None:
        self._process = process
        self._tasks: list[asyncio.Future[None]] = []

    def running(self) -> None:
        process = self._process
        chores = (process.active.watch(), process.recorder.run(), process.watch.run())
        self._tasks = [asyncio.ensure_future(chore) for chore in chores]

    def done(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._process.watch.store.close()
        self._process.recorder.close()


async def _until(stop: asyncio.Event, running: Sequence[Awaitable[None]]) -> None:
    """Wait for ``stop``; if one of the tasks fails, so does the process, and the supervisor starts it again."""
    tasks = [asyncio.ensure_future(work) for work in running]
    stopped = asyncio.ensure_future(stop.wait())
    done, _ = await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, *tasks):
        task.cancel()
    await asyncio.gather(stopped, *tasks, return_exceptions=True)
    for task in done - {stopped}:
        task.result()


async def _reload_when(asked: asyncio.Event, active: ActivePolicy) -> None:
    while True:
        await asked.wait()
        asked.clear()
        await active.reload()


def _upstreams(settings: Settings, metrics: Metrics) -> UpstreamsByDomain:
    dns = settings.listen.dns

    def asking(upstreams: tuple[Upstream, ...]) -> Upstreams:
        return Upstreams(upstreams, metrics=metrics, ours=[(dns.address, dns.port)])

    domains = {name: asking(upstreams) for name, upstreams in settings.resolving.domains}
    return UpstreamsByDomain(asking(settings.upstreams), domains)


def _sinkhole(process: _Process, at_the_end: AsyncExitStack) -> Part:
    from sumun.sinkhole.server import Sinkhole

    settings = process.settings
    upstreams = _upstreams(settings, process.metrics)
    at_the_end.push_async_callback(upstreams.close)
    sys.setswitchinterval(_SWITCH)
    return Sinkhole(
        settings=settings,
        policy=process.policy,
        events=process.recorder,
        metrics=process.metrics,
        upstreams=upstreams,
        clock=now,
        reuse_port=settings.listen.dns.workers > 1,
    )


def _book(process: _Process) -> Book:
    """Where forms of the pages are kept; raises StoreFault."""
    from sumun.proxy.forms import Book

    several = process.settings.listen.proxy.workers > 1
    settle = 2 * INTERVAL if several else 0.0
    return Book(form_key(process.settings.state), process.watch, process.grant_log, settle)


def _proxy(process: _Process, at_the_end: AsyncExitStack) -> Part:
    from sumun.pages.render import render
    from sumun.proxy.server import Proxy

    settings = process.settings
    upstreams = _upstreams(settings, process.metrics)
    at_the_end.push_async_callback(upstreams.close)
    return Proxy(
        settings=settings,
        policy=process.policy,
        organisation=process.organisation,
        events=process.recorder,
        metrics=process.metrics,
        resolver=upstreams,
        pages=render,
        ca_folder=settings.state / "ca",
        clock=now,
        reuse_port=settings.listen.proxy.workers > 1,
        book=_book(process),
    )


def _console(process: _Process, _at_the_end: AsyncExitStack) -> Part:
    from sumun.console.console import Console

    settings = process.settings
    return Console(
        settings=settings,
        loaded=lambda: _view(process.active),
        metrics_folder=settings.state / "metrics",
        probes=_probes(settings, [Role.DNS, Role.PROXY]),
        clock=now,
    )


_PARTS: dict[Role, Callable[[_Process, AsyncExitStack], Part]] = {
    Role.DNS: _sinkhole,
    Role.PROXY: _proxy,
    Role.CONSOLE: _console,
}


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
