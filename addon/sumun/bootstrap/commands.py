"""What commands ask for without serving: the policy, the catalogue, the authority, the store, the lists."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from sumun.bootstrap.clock import now
from sumun.bootstrap.process import upstreams_of
from sumun.bootstrap.proxy import users
from sumun.bootstrap.role import CannotStart, Role
from sumun.config.fault import ConfigError, Fault
from sumun.config.settings import Settings
from sumun.loading.active import ActivePolicy
from sumun.loading.build import Loaded, build, build_services
from sumun.loading.key_pair import UnusableKeyPair, server_context
from sumun.loading.large_lists import kept
from sumun.loading.last_good import state_folder
from sumun.loading.sources import read_services, read_sources
from sumun.loading.subscriptions import importer, updater
from sumun.loading.update import Updater
from sumun.model.service import Service
from sumun.policy.engine import Policy
from sumun.policy.grants import Grants
from sumun.store.desk import Desk
from sumun.store.key import form_key
from sumun.store.store import Store
from sumun.telemetry.grant_log import GrantLog
from sumun.telemetry.json_lines import JsonLines
from sumun.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from sumun.proxy.ca import CertificateAuthority  # mitmproxy is an extra: a DNS-only host does without


def load(config: Path) -> Loaded:
    """Read and compile once; raises LoadError or ConfigError."""
    sources = read_sources(config)
    return build(sources, at=now(), compile_lists=kept(state_folder(sources.config)))


def vet_keys(config: Path, settings: Settings) -> None:
    """Look whether certificates and keys that the configuration names can serve; raises ConfigError.

    Apart from ``load``: a renewal that is half done keeps no running filter from a new policy.
    """
    dns = settings.listen.dns
    faults = []
    for key, listener in (("tls", dns.tls), ("https", dns.https)):
        try:
            if listener:
                server_context(listener.keys, [])
        except UnusableKeyPair as fault:
            faults.append(Fault(str(config), 0, f"/listen/dns/{key}", str(fault)))
    if faults:
        raise ConfigError(faults)


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
        if settings.users and (known := users(settings.users)):  # a fault in its files, said once
            known.close()
    if {Role.PROXY, Role.CONSOLE} & set(roles):
        form_key(settings.state)  # before two processes make one each
    return settings


def need_ports(settings: Settings, roles: Sequence[Role]) -> None:
    """See to it that nobody else listens where the proxy will; raises CannotStart.

    Its workers share their ports, and would with another program of the same user that does so, too.
    """
    if Role.PROXY not in roles:
        return
    from sumun.proxy.listening import ProxyFault, need_free

    try:
        need_free(settings)
    except ProxyFault as error:
        raise CannotStart(str(error)) from error


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


def rotate_authority(state: Path, *, whole: bool, root_key: Path | None) -> CertificateAuthority:
    """Another intermediate, or (``whole``) another root with one, in this state folder; raises CannotStart."""

    def rotated(ca: Any) -> CertificateAuthority:
        made: CertificateAuthority = (ca.renew_root if whole else ca.renew)(state / "ca", at=now(), root_key=root_key)
        return made

    return _with_authority(rotated)


def export_root_key(state: Path, to: Path, *, remove: bool) -> None:
    """Copy the root's key out of this state folder, and maybe remove it there; raises CannotStart."""
    _with_authority(lambda ca: ca.export_root_key(state / "ca", to, remove=remove))


def _with_authority[T](do: Callable[[Any], T]) -> T:
    try:
        from sumun.proxy import ca
    except ImportError as error:
        raise CannotStart("the proxy needs mitmproxy: install `sumun[proxy]`") from error
    try:
        return do(ca)
    except (ca.CaFault, OSError) as error:
        raise CannotStart(str(error)) from error


async def with_updater[T](
    settings: Settings, do: Callable[[Updater], Awaitable[T]], *, files: Mapping[str, Path] | None = None
) -> T:
    """Do something with lists, outside a serving process; ``files`` stand in place of URLs; raises LoadError."""
    if files is not None:
        return await do(importer(settings, files, now))
    upstreams = upstreams_of(settings, Metrics(CollectorRegistry()))
    try:
        return await do(updater(settings, upstreams.addresses, now, os.environ))
    finally:
        await upstreams.close()


def desk(loaded: Loaded) -> Desk:
    """What commands about grants work with; raises StoreFault."""
    settings = loaded.config.settings
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Desk(Store.at(settings.store, settings.state), GrantLog(JsonLines(settings.state / "events.jsonl")))


def granted(loaded: Loaded) -> Policy:
    """The policy with what is granted now, as the running filter has it; raises StoreFault."""
    settings, at = loaded.config.settings, now()
    if not settings.store and not (settings.state / "sumun.db").exists():
        return loaded.policy  # the filter has never run here, and asking must not make a file
    found = Store.at(settings.store, settings.state).snapshot(at)
    return loaded.policy.granting(Grants(found.grants, found.answers))
