"""The part that serves the proxy."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sumun.bootstrap.clock import now
from sumun.bootstrap.process import Process, upstreams_of
from sumun.store.key import form_key
from sumun.store.watch import INTERVAL

if TYPE_CHECKING:
    from sumun.proxy.forms import Book  # mitmproxy is an extra: a DNS-only host does without
    from sumun.proxy.server import Proxy


def proxy(process: Process, at_the_end: AsyncExitStack) -> Proxy:
    """Put the proxy together; its upstreams are closed at the end. Raises StoreFault."""
    from sumun.pages.render import render
    from sumun.proxy.server import Proxy

    settings = process.settings
    upstreams = upstreams_of(settings, process.metrics)
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
        reuse_port=True,  # beside other workers, or one that takes this one's place
        book=book(process),
    )


def book(process: Process) -> Book:
    """Where forms of the pages are kept; raises StoreFault."""
    from sumun.proxy.forms import Book

    several = process.settings.listen.proxy.workers > 1
    settle = 2 * INTERVAL if several else 0.0
    return Book(form_key(process.settings.state), process.watch, process.grant_log, settle)
