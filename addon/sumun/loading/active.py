"""The policy in force: loaded at start, exchanged whole on reload, watched for changes."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

from sumun.config.fault import ConfigError, Fault
from sumun.config.parse import outline
from sumun.config.settings import Settings
from sumun.loading import last_good
from sumun.loading.build import Loaded, build
from sumun.loading.large_lists import Compile, NotCompiled, at_hand, shared
from sumun.loading.sources import LoadError, Sources, catalogue_folder, list_files, read_sources
from sumun.policy.engine import Policy

_LOG = logging.getLogger(__name__)

_GENTLY = partial(shared, gently=True)

type Clock = Callable[[], datetime]
type Signature = tuple[tuple[str, int, int, int], ...]
"""Path, modification time, size and inode of every file that was or would be read."""


class ActivePolicy:
    """Holds one reference; whoever asks takes it once a request."""

    def __init__(self, config: Path, clock: Clock, loaded: Loaded, seen: Signature, faults: tuple[Fault, ...]) -> None:
        self._config, self._clock, self._seen = config, clock, seen
        self._started_with = loaded.config.settings
        self._reloading = asyncio.Lock()
        self.current: Loaded = loaded
        self.faults: tuple[Fault, ...] = faults
        """Why the files as they are now could not be loaded; empty: they are in force."""
        self.last_success: datetime = clock()
        """When the policy in force was loaded."""
        self.before_exchange: Callable[[Loaded], Awaitable[None]] = _at_once
        """Gets whoever serves ready for another policy, which is in force as soon as this returns; never raises."""

    @classmethod
    def start(cls, config: Path, clock: Clock, *, at_once: bool = False) -> Self:
        """Load the files, or if they are faulty the last good ones; raises ConfigError where there are none.

        ``at_once``: where a large list is new and not compiled yet, the last good ones are in force until the watch
        finds the files changed. So a worker that died is back at once, and serves as its neighbours do.
        """
        seen = signature(config)
        faults: tuple[Fault, ...] = ()
        try:
            loaded, seen = _at_hand(config, seen, clock()) if at_once else (_load(config, clock()), seen)
        except ConfigError as trouble:
            loaded, faults = _last_good(config, trouble, clock()), trouble.faults
        for warning in loaded.warnings:
            _LOG.warning("%s", warning)
        _LOG.info("policy %s is in force: %d services", loaded.revision, len(loaded.services))
        return cls(config, clock, loaded, seen, faults)

    @property
    def last_reload_ok(self) -> bool:
        """Whether the policy in force is what the files say now."""
        return not self.faults

    @property
    def needs_restart(self) -> tuple[str, ...]:
        """Keys of the configuration whose change takes effect only when the process starts again."""
        return tuple(_changed(self._started_with, self.current.config.settings))

    def policy(self) -> Policy:
        """The policy in force; take it once a request."""
        return self.current.policy

    async def reload(self) -> bool:
        """Load the files again, off the event loop; on a fault report it, keep the policy in force, return False."""
        async with self._reloading:
            self._seen = await asyncio.to_thread(signature, self._config)
            try:
                loaded = await asyncio.to_thread(_load, self._config, self._clock(), _GENTLY)
            except ConfigError as trouble:
                self._keep(trouble)
                return False
            await self.before_exchange(loaded)
            self._exchange(loaded)
            return True

    async def watch(self, interval: float = 1.0, *, reloaded: Callable[[bool], object] = bool) -> None:
        """Reload after a change, once the files have stood still for ``interval`` seconds; runs until cancelled.

        ``reloaded`` is told what each reload returned.
        """
        before = self._seen
        while True:
            await asyncio.sleep(interval)
            now = await asyncio.to_thread(signature, self._config)
            if now == before and now != self._seen:
                reloaded(await self.reload())
            before = now

    def _keep(self, trouble: ConfigError) -> None:
        self.faults = trouble.faults
        _LOG.error("reload failed, policy %s stays in force", self.current.revision)
        _report(trouble)

    def _exchange(self, loaded: Loaded) -> None:
        for warning in set(loaded.warnings) - set(self.current.warnings):
            _LOG.warning("%s", warning)
        self.current, self.faults, self.last_success = loaded, (), self._clock()
        _LOG.info("policy %s is in force", loaded.revision)
        if keys := self.needs_restart:
            _LOG.warning("changes under %s take effect after a restart", ", ".join(f"`{key}`" for key in keys))


async def _at_once(_: Loaded) -> None:
    """Nobody has to get ready."""


def signature(config: Path) -> Signature:
    """What the file system says of every file behind a configuration; compares unequal after any change.

    The inode changes when an editor or an orchestrator puts a new file in the place of the old one.
    """
    return tuple(_stamp(path) for path in _watched(config))


def _watched(config: Path) -> Iterator[str | Path]:
    yield config
    services = catalogue_folder() / "services"
    yield services
    with suppress(OSError), os.scandir(services) as files:
        yield from sorted(file.path for file in files if file.name.endswith(".yaml"))
    named = _outline(_read(config))
    for _, path in list_files(named):
        yield path
    yield from named.logos


_outline = lru_cache(maxsize=8)(partial(outline, file=""))
"""A watcher asks once a second; the answer changes with the text only."""


def _read(config: Path) -> str:
    try:
        return config.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _stamp(path: str | Path) -> tuple[str, int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - every second for five hundred files, and a Path costs more than the call
    except OSError:
        return str(path), 0, 0, 0
    return str(path), status.st_mtime_ns, status.st_size, status.st_ino


def _at_hand(config: Path, seen: Signature, at: datetime) -> tuple[Loaded, Signature]:
    """What there is to begin with, and the files behind it, where it is what they say; raises ConfigError."""
    with suppress(NotCompiled):
        return _load(config, at, at_hand), seen
    if (sources := last_good.restore(config, last_good.state_folder(_read(config)))) is not None:
        with suppress(NotCompiled, ConfigError):
            loaded = build(sources, at=at, compile_lists=at_hand(last_good.state_folder(sources.config)))
            _LOG.info("beginning with the last good policy, since large lists have changed and are not compiled yet")
            return loaded, ()
    return _load(config, at), seen


def _load(config: Path, at: datetime, compiling: Callable[[Path], Compile] = shared) -> Loaded:
    """Read, build and keep; raises ConfigError, what ``compiling`` raises, and nothing else."""
    try:
        sources = read_sources(config)
    except LoadError as trouble:
        raise ConfigError([Fault(str(config), 0, "", str(trouble))]) from None
    state = last_good.state_folder(sources.config)
    loaded = build(sources, at=at, compile_lists=compiling(state))
    _save(sources, loaded.config.settings.state)
    return loaded


def _save(sources: Sources, state: Path) -> None:
    try:
        last_good.save(sources, state)
    except OSError as why:
        _LOG.warning("keeping the last good policy in `%s`: %s", state, why.strerror or why)


def _last_good(config: Path, trouble: ConfigError, at: datetime) -> Loaded:
    sources = last_good.restore(config, last_good.state_folder(_read(config)))
    if sources is None:
        raise trouble
    try:
        loaded = build(sources, at=at, compile_lists=shared(last_good.state_folder(sources.config)))
    except ConfigError:
        raise trouble from None
    _LOG.error("starting with the last good policy %s, since the configuration has faults", loaded.revision)
    _report(trouble)
    return loaded


def _report(trouble: ConfigError) -> None:
    for fault in trouble.faults:
        _LOG.error("%s", fault)


def _changed(before: Settings, after: Settings) -> Iterator[str]:
    """Settings that sockets, certificates and connections were made with."""
    pairs = {
        "listen": (before.listen, after.listen),
        "upstreams": (before.upstreams, after.upstreams),
        "upstream_ca": (before.upstream_ca, after.upstream_ca),
        "destinations": (before.internal_destinations, after.internal_destinations),
        "state": (before.state, after.state),
        "store": (before.store, after.store),
        "downloads": (before.download_proxy, after.download_proxy),
    }
    return (key for key, (old, new) in pairs.items() if old != new)
