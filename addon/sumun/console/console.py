"""The listener of the console: an embedded server that leaves signals and logging to the application."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from sumun.config.settings import Listener, Settings
from sumun.console.app import application
from sumun.console.gauges import ConsoleCollector
from sumun.console.readiness import Readiness
from sumun.console.view import LoadedView
from sumun.model.fault import OperatorFault
from sumun.telemetry.shared_metrics import render

_CONNECTIONS = 128
"""Beyond these a client is told 503; one Prometheus and a few people need ten."""
_DRAIN = 3
"""Seconds that running requests get when the console stops."""


class ConsoleFault(OperatorFault):
    """The console cannot listen; the message says why and what to do."""


class Console:
    """Serves metrics, health and readiness of this host."""

    def __init__(
        self,
        *,
        settings: Settings,
        loaded: Callable[[], LoadedView],
        metrics_folder: Path,
        probes: Mapping[str, Callable[[], Awaitable[None]]],
        clock: Callable[[], datetime],
        areas: Sequence[Route] = (),
        hosts: Collection[str] = (),
    ) -> None:
        """Take what it shows; ``probes`` by role, ``hosts`` are names besides addresses that it is reached by."""
        self._listener = settings.listen.console
        gauges = ConsoleCollector(loaded, settings.state / "ca" / "mitmproxy-ca-cert.pem")
        app = application(
            metrics=partial(render, metrics_folder, gauges),
            readiness=Readiness(loaded, probes, clock=clock),
            clock=clock,
            areas=areas,
            hosts=hosts,
        )
        self._server = _Embedded(_config(app))
        self._serving: asyncio.Task[None] | None = None
        self.port = self._listener.port
        """The port it listens on: after ``start`` also where the configuration says 0."""

    async def start(self) -> None:
        """Listen; raises ConsoleFault where it cannot."""
        listening = _bind(self._listener)
        self.port = listening.getsockname()[1]
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name="console")
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait({ready, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._serving  # it has ended, and says why

    async def stop(self) -> None:
        """Close the listener, finish running requests, return."""
        if self._serving is not None:
            self._server.should_exit = True
            await self._serving


class _Embedded(uvicorn.Server):
    """A server inside an application that has signal handlers of its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nothing here depends on who asks
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        backlog=_CONNECTIONS,
        timeout_graceful_shutdown=_DRAIN,
        h11_max_incomplete_event_size=16 * 1024,
    )


def _bind(listener: Listener) -> socket.socket:
    family = socket.AF_INET if listener.address.version == 4 else socket.AF_INET6
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((str(listener.address), listener.port))
        listening.listen(_CONNECTIONS)
    except OSError as fault:
        listening.close()
        raise ConsoleFault(_why(listener, fault)) from fault
    listening.setblocking(False)
    return listening


def _why(listener: Listener, fault: OSError) -> str:
    where = f"console cannot listen on `{listener.address}` port `{listener.port}` (`listen.console`)"
    remedies = {
        errno.EADDRINUSE: "another program listens there: stop it, or choose another port",
        errno.EADDRNOTAVAIL: "this host does not have the address: choose one that it has",
        errno.EACCES: "ports below 1024 need a privilege: grant CAP_NET_BIND_SERVICE, or choose a higher port",
    }
    return f"{where}: {remedies.get(fault.errno or 0, (fault.strerror or str(fault)).lower())}"
