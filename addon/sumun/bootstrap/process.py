"""What every serving process has, whatever its role."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sumun.bootstrap.clock import now
from sumun.config.settings import Settings, Upstream
from sumun.loading.active import ActivePolicy
from sumun.loading.build import Loaded
from sumun.loading.private_file import read_private, write_private
from sumun.model.organisation import Organisation
from sumun.policy.engine import Policy
from sumun.policy.grants import Grants
from sumun.store.copy import FILE_NAME, MAX_OCTETS, Copy
from sumun.store.store import Store
from sumun.store.watch import Watch
from sumun.telemetry.grant_log import GrantLog
from sumun.telemetry.json_lines import JsonLines
from sumun.telemetry.metrics import Metrics
from sumun.telemetry.recorder import Recorder
from sumun.telemetry.shared_metrics import share
from sumun.upstream.domains import UpstreamsByDomain
from sumun.upstream.resolver import Upstreams


@dataclass
class Process:
    """What every serving process has."""

    active: ActivePolicy
    metrics: Metrics
    recorder: Recorder
    watch: Watch
    grant_log: GrantLog
    _joined: tuple[Policy, Grants, Policy] | None = None

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return self.active.current.config.settings

    def policy(self) -> Policy:
        """The policy in force with what was granted; take it once a request. The same until one of both changes."""
        policy, grants, joined = self.active.current.policy, self.watch.current, self._joined
        if joined is None or joined[0] is not policy or joined[1] is not grants:
            joined = self._joined = policy, grants, policy.granting(grants)
        return joined[2]

    def preparing(self, prepare: Callable[[Policy], Awaitable[None]]) -> None:
        """Let a part get ready for each policy before it is in force."""

        async def before_exchange(loaded: Loaded) -> None:
            grants = self.watch.current
            joined = loaded.policy.granting(grants)
            await prepare(joined)
            self._joined = loaded.policy, grants, joined

        self.active.before_exchange = before_exchange

    def organisation(self) -> Organisation:
        """As the pages name it."""
        return self.active.current.config.organisation

    def chores(self) -> list[Awaitable[None]]:
        """What goes on beside serving: watching files and store, writing events."""
        return [self.active.watch(), self.recorder.run(), self.watch.run()]


def beginnings(config: Path, identity: str) -> Process:
    """Everything that does not depend on the role; its counts are kept under this identity."""
    active = ActivePolicy.start(config, clock=now, at_once=True)
    settings = active.current.config.settings
    share(settings.state / "metrics", identity)
    metrics = Metrics()
    log = GrantLog(JsonLines(settings.state / "events.jsonl"), metrics)
    store = Store.at(settings.store, settings.state)
    available = metrics.store_up.labels(store.kind).set
    watch = Watch(store, clock=now, tell=log, available=available, copy=_copy(settings))
    recorder = Recorder(metrics, [JsonLines(settings.state / "events.jsonl")], clock=now)
    return Process(active, metrics, recorder, watch, log)


def _copy(settings: Settings) -> Copy | None:
    """A copy of what a server elsewhere said; a file in the same folder needs none."""
    if not settings.store:
        return None
    path = settings.state / FILE_NAME
    return Copy(settings.store, lambda first: read_private(path, MAX_OCTETS, first), partial(write_private, path))


@dataclass(frozen=True)
class Resolvers:
    """Whom questions go to."""

    general: UpstreamsByDomain
    by_segment: Mapping[str, UpstreamsByDomain]
    """Segments of equal resolvers share them, and what they said."""

    async def close(self) -> None:
        """Close the connections kept open."""
        for each in (self.general, *self.by_segment.values()):
            await each.close()


def upstreams_of(settings: Settings, metrics: Metrics) -> UpstreamsByDomain:
    """The resolvers of whoever asks for no client."""
    return resolvers_of(settings, metrics).general


def resolvers_of(settings: Settings, metrics: Metrics) -> Resolvers:
    """All resolvers that these settings name."""
    dns, resolving = settings.listen.dns, settings.resolving

    def asking(upstreams: tuple[Upstream, ...]) -> Upstreams:
        return Upstreams(upstreams, metrics=metrics, ours=[(dns.address, dns.port)], mixed_case=resolving.mixed_case)

    domains = {name: asking(upstreams) for name, upstreams in resolving.domains}
    different = {upstreams for _, upstreams in resolving.segments if upstreams != settings.upstreams}
    made = {upstreams: UpstreamsByDomain(asking(upstreams), domains) for upstreams in different}
    general = made[settings.upstreams] = UpstreamsByDomain(asking(settings.upstreams), domains)
    return Resolvers(general, {name: made[upstreams] for name, upstreams in resolving.segments})
