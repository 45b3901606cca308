"""``sumun zygote``: the process that zygotes of roles are forked from, and from them workers."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

import click

from sumun import bootstrap
from sumun.cli.forking import Order, forked, show_as
from sumun.cli.logs import log_to_terminal
from sumun.cli.options import config_option
from sumun.cli.output import COULD_NOT
from sumun.model.fault import OperatorFault

_PULSE = 1.0
"""Seconds between two beats."""
_TOGETHER = 1.0
"""Seconds within which two signals count as one."""
log = logging.getLogger(__name__)


@click.command(hidden=True)
@click.option("--orders-fd", type=int, required=True)
@config_option
def zygote(orders_fd: int, config: Path) -> None:
    """Fork zygotes for roles, and those workers, until the supervisor is gone (started by `sumun up`)."""
    log_to_terminal("zygote")
    bootstrap.warm(config)
    if order := _forked(orders_fd):
        role = bootstrap.Role(order.name)
        _show("zygote", role, config=config)
        log_to_terminal(f"{role}-zygote")
        bootstrap.warm_role(role)
        if order := _forked(*order.files):
            _work(role, int(order.name), *order.files, config=config)


def _forked(orders_fd: int) -> Order | None:
    with socket.socket(fileno=orders_fd) as orders:
        orders.set_inheritable(False)
        return forked(orders)


def _show(*words: str, config: Path) -> None:
    show_as([sys.executable, "-m", "sumun", *words, "--config", str(config)])


def _work(role: bootstrap.Role, index: int, ready_fd: int, lifeline_fd: int, *, config: Path) -> None:
    """Serve one role in this process until told to stop."""
    _show("worker", role, str(index), config=config)
    log_to_terminal(f"{role}-{index}")
    try:
        asyncio.run(_serve(role, index, ready_fd, lifeline_fd, config))
    except OperatorFault as error:
        log.critical("%s", error)
        raise SystemExit(COULD_NOT) from None


async def _serve(role: bootstrap.Role, index: int, ready_fd: int, lifeline_fd: int, config: Path) -> None:
    loop = asyncio.get_running_loop()
    orders = bootstrap.Orders()
    loop.add_signal_handler(signal.SIGTERM, _told, orders)
    loop.add_signal_handler(signal.SIGHUP, orders.reload.set)
    pulse = asyncio.Event()

    def orphaned() -> None:
        loop.remove_reader(lifeline_fd)
        orders.stop.set()

    loop.add_reader(lifeline_fd, orphaned)  # readable only at its end: the supervisor is gone
    beating = asyncio.create_task(_beat(ready_fd, pulse))
    try:
        await bootstrap.serve(role, index, config, orders=orders, on_ready=pulse.set)
    finally:
        loop.remove_reader(lifeline_fd)
        beating.cancel()


def _told(orders: bootstrap.Orders) -> None:
    """The first SIGTERM stops, a second one hurries; service managers may send one to every process besides."""
    loop = asyncio.get_running_loop()
    if not orders.stop.is_set():
        orders.stop.set()
        orders.since = loop.time()
    elif loop.time() - orders.since >= _TOGETHER:
        orders.hurry.set()


async def _beat(descriptor: int, ready: asyncio.Event) -> None:
    """Tell the supervisor that this process serves, and again as long as its loop turns."""
    await ready.wait()
    gc.collect()
    gc.freeze()  # what is here now stays, and looking through it for garbage would keep queries waiting
    os.set_blocking(descriptor, False)
    with suppress(OSError):  # nobody listens any more: the lifeline tells so, too
        while True:
            with suppress(BlockingIOError):
                os.write(descriptor, b".")
            await asyncio.sleep(_PULSE)
