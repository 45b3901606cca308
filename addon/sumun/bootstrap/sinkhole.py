"""The part that serves DNS."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from sumun.bootstrap.clock import now
from sumun.bootstrap.process import Process, resolvers_of

if TYPE_CHECKING:
    from sumun.sinkhole.server import Sinkhole  # loaded by its own process only

_SWITCH = 0.0002
"""Seconds after which the thread that writes the log lets the sinkhole go on; Python's own 0.005 is fifty answers."""


def sinkhole(process: Process, at_the_end: AsyncExitStack) -> Sinkhole:
    """Put the sinkhole together; its upstreams are closed at the end."""
    from sumun.sinkhole.server import Sinkhole

    settings = process.settings
    upstreams = resolvers_of(settings, process.metrics)
    at_the_end.push_async_callback(upstreams.close)
    sys.setswitchinterval(_SWITCH)
    it = Sinkhole(
        settings=settings,
        policy=process.policy,
        events=process.recorder,
        metrics=process.metrics,
        upstreams=upstreams.general,
        by_segment=upstreams.by_segment,
        clock=now,
        reuse_port=settings.listen.dns.workers > 1,
    )
    process.preparing(it.prepare)
    return it
