"""``sumun worker``: one process of one role, as the supervisor starts it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from pathlib import Path

import click

from sumun import bootstrap
from sumun.cli.logs import log_to_terminal
from sumun.cli.options import config_option
from sumun.cli.output import COULD_NOT
from sumun.model.fault import OperatorFault

log = logging.getLogger(__name__)


@click.command(hidden=True)
@click.argument("role", type=click.Choice([role.value for role in bootstrap.Role]))
@click.argument("index", type=int)
@click.option("--ready-fd", type=int, required=True)
@click.option("--lifeline-fd", type=int, required=True)
@config_option
def worker(role: str, index: int, ready_fd: int, lifeline_fd: int, config: Path) -> None:
    """Serve one role until told to stop (started by `sumun up`)."""
    log_to_terminal(f"{role}-{index}")
    os.set_inheritable(lifeline_fd, False)
    try:
        asyncio.run(_serve(bootstrap.Role(role), index, ready_fd, lifeline_fd, config))
    except OperatorFault as error:
        log.critical("%s", error)
        raise SystemExit(COULD_NOT) from None


async def _serve(role: bootstrap.Role, index: int, ready_fd: int, lifeline_fd: int, config: Path) -> None:
    loop = asyncio.get_running_loop()
    stop, reload = asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    loop.add_reader(lifeline_fd, stop.set)  # readable only at its end: the supervisor is gone
    try:
        await bootstrap.serve(role, index, config, stop=stop, reload=reload, on_ready=lambda: _say_ready(ready_fd))
    finally:
        loop.remove_reader(lifeline_fd)


def _say_ready(descriptor: int) -> None:
    gc.collect()
    gc.freeze()  # what is here now stays, and looking through it for garbage would keep queries waiting
    os.write(descriptor, b"ready")
    os.close(descriptor)
