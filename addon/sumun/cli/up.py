"""``sumun up``, ``dns``, ``proxy``, ``console``: run roles on this host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from sumun import bootstrap
from sumun.cli.hints import print_hints
from sumun.cli.logs import log_to_terminal
from sumun.cli.options import config_option
from sumun.cli.output import fail, print_faults
from sumun.cli.supervisor import Care, StartFailed, Supervisor
from sumun.config.fault import ConfigError
from sumun.config.settings import Settings
from sumun.model.fault import OperatorFault


def _run(config: Path, roles: Sequence[bootstrap.Role]) -> None:
    log_to_terminal("sumun")
    try:
        settings = bootstrap.prepare(config, roles)
        bootstrap.need_ports(settings, roles)
    except ConfigError as error:
        print_faults(error.faults)
        fail(f"`{config}` cannot be used, and no last known good policy is on disk: `sumun check` says the same again")
    except OperatorFault as error:
        fail(str(error))
    cares = [_care(role, settings) for role in roles]
    on_ready: Callable[[], None] = lambda: print_hints(settings, config, roles)  # noqa: E731  # one closure
    try:
        asyncio.run(Supervisor(config, cares).run(on_ready=on_ready))
    except* StartFailed as failed:
        fail("could not start: " + ", ".join(sorted(str(error) for error in failed.exceptions)))


def _care(role: bootstrap.Role, settings: Settings) -> Care:
    limits = settings.proxy_limits
    count = bootstrap.workers(role, settings)
    if role is not bootstrap.Role.PROXY:
        return Care(role.value, count)
    return Care(role.value, count, memory=limits.memory, drain=limits.drain.total_seconds())


@click.command()
@config_option
def up(config: Path) -> None:
    """Start everything on this host: sinkhole, proxy and console.

    SIGTERM or Ctrl-C stops cleanly with every event written, once running connections have ended or the time of
    `listen.proxy.drain` is over; a second one ends them at once. SIGHUP, and any change of the configuration, of the
    catalogue or of a list, reloads the policy. A configuration that is not valid is reported and the one in force
    stays.
    """
    _run(config, list(bootstrap.Role))


@click.command()
@config_option
def dns(config: Path) -> None:
    """Start the DNS sinkhole only."""
    _run(config, [bootstrap.Role.DNS])


@click.command()
@config_option
def proxy(config: Path) -> None:
    """Start the guard proxy and the pages only."""
    _run(config, [bootstrap.Role.PROXY])


@click.command()
@config_option
def console(config: Path) -> None:
    """Start the console only: /metrics, /healthz, /readyz."""
    _run(config, [bootstrap.Role.CONSOLE])
