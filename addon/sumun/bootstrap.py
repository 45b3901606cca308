"""The composition root: the one place where parts meet and the clock is read.

Everything is passed in; nothing is global, so two applications can live in one test process.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sumun.config.settings import Settings, Upstream
from sumun.console.probes import Probe, ProbeFailed, dns_answers, tcp_connects
from sumun.console.view import ListView, LoadedView
from sumun.loading.active import ActivePolicy
from sumun.loading.build import Loaded, build, build_services
from sumun.loading.sources import read_services, read_sources
from sumun.model.fault import OperatorFault
from sumun.model.organisation import Organisation
from sumun.model.service import Service
from sumun.telemetry.json_lines import JsonLines
from sumun.telemetry.metrics import Metrics
from sumun.telemetry.recorder import Recorder
from sumun.telemetry.shared_metrics import share
from sumun.upstream.domains import UpstreamsByDomain
from sumun.upstream.resolver import Upstreams

if TYPE_CHECKING:
    from sumun.proxy.ca import CertificateAuthority  # mitmproxy is an extra: a DNS-only host does without

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
    return build(read_sources(config), at=now())


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
    active, metrics, recorder = _beginnings(config, f"{role}-{index}")
    async with AsyncExitStack() as at_the_end:
        at_the_end.push_async_callback(asyncio.to_thread, recorder.close)
        part = _PARTS[role](active, metrics, recorder, at_the_end)
        at_the_end.push_async_callback(part.stop)
        await part.start()
        on_ready()
        await _until(stop, [active.watch(), recorder.run(), _reload_when(reload, active)])


def _beginnings(config: Path, identity: str) -> tuple[ActivePolicy, Metrics, Recorder]:
    """What every serving process has; its counts are kept under this identity."""
    active = ActivePolicy.start(config, clock=now)
    state = active.current.config.settings.state
    share(state / "metrics", identity)
    metrics = Metrics()
    return active, metrics, Recorder(metrics, [JsonLines(state / "events.jsonl")], clock=now)


def mitmproxy_addons() -> list[object]:
    """What addon/sumun_addon.py gives to a mitmproxy that somebody else runs."""
    from sumun.proxy.shim import Shim

    return [Shim(_inside_mitmproxy)]


def _inside_mitmproxy(config: Path) -> list[object]:
    from sumun.pages.render import render
    from sumun.proxy.server import standalone_addon

    prepare(config, [Role.PROXY])
    active, metrics, recorder = _beginnings(config, f"{Role.PROXY}-0")
    settings = active.current.config.settings
    addon = standalone_addon(
        settings=settings,
        policy=active.policy,
        organisation=_organisation(active),
        events=recorder,
        metrics=metrics,
        resolver=_upstreams(settings, metrics),
        pages=render,
        ca_folder=settings.state / "ca",
        clock=now,
    )
    return [addon, _Chores(active, recorder)]


class _Chores:
    """What goes on beside the hooks, as an addon: watching files, writing events."""

    def __init__(self, active: ActivePolicy, recorder: Recorder) -> None:
        self._active, self._recorder = active, recorder
        self._tasks: list[asyncio.Future[None]] = []

    def running(self) -> None:
        self._tasks = [asyncio.ensure_future(self._active.watch()), asyncio.ensure_future(self._recorder.run())]

    def done(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._recorder.close()


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


def _organisation(active: ActivePolicy) -> Callable[[], Organisation]:
    return lambda: active.current.config.organisation


def _upstreams(settings: Settings, metrics: Metrics) -> UpstreamsByDomain:
    dns = settings.listen.dns

    def asking(upstreams: tuple[Upstream, ...]) -> Upstreams:
        return Upstreams(upstreams, metrics=metrics, ours=[(dns.address, dns.port)])

    domains = {name: asking(upstreams) for name, upstreams in settings.resolving.domains}
    return UpstreamsByDomain(asking(settings.upstreams), domains)


def _sinkhole(active: ActivePolicy, metrics: Metrics, recorder: Recorder, at_the_end: AsyncExitStack) -> Part:
    from sumun.sinkhole.server import Sinkhole

    settings = active.current.config.settings
    upstreams = _upstreams(settings, metrics)
    at_the_end.push_async_callback(upstreams.close)
    sys.setswitchinterval(_SWITCH)
    return Sinkhole(
        settings=settings,
        policy=active.policy,
        events=recorder,
        metrics=metrics,
        upstreams=upstreams,
        clock=now,
        reuse_port=settings.listen.dns.workers > 1,
    )


def _proxy(active: ActivePolicy, metrics: Metrics, recorder: Recorder, at_the_end: AsyncExitStack) -> Part:
    from sumun.pages.render import render
    from sumun.proxy.server import Proxy

    settings = active.current.config.settings
    upstreams = _upstreams(settings, metrics)
    at_the_end.push_async_callback(upstreams.close)
    return Proxy(
        settings=settings,
        policy=active.policy,
        organisation=_organisation(active),
        events=recorder,
        metrics=metrics,
        resolver=upstreams,
        pages=render,
        ca_folder=settings.state / "ca",
        clock=now,
        reuse_port=settings.listen.proxy.workers > 1,
    )


def _console(active: ActivePolicy, _metrics: Metrics, _recorder: Recorder, _at_the_end: AsyncExitStack) -> Part:
    from sumun.console.console import Console

    settings = active.current.config.settings
    return Console(
        settings=settings,
        loaded=lambda: _view(active),
        metrics_folder=settings.state / "metrics",
        probes=_probes(settings, [Role.DNS, Role.PROXY]),
        clock=now,
    )


_PARTS: dict[Role, Callable[[ActivePolicy, Metrics, Recorder, AsyncExitStack], Part]] = {
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
        lists={
            id_: ListView(found.entries, found.refused, active.last_success if found.present else None)
            for id_, found in loaded.lists.items()
        },
        last_reload_ok=active.last_reload_ok,
        last_success=active.last_success,
    )


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
