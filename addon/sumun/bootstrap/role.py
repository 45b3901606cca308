"""What a process can be, and what serves it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from sumun.config.settings import Settings
from sumun.model.fault import OperatorFault


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


@runtime_checkable
class Draining(Protocol):
    """A part whose connections outlast a request."""

    async def drain(self, hurry: asyncio.Event) -> None:
        """Take no more, and wait for those that run: within reason, and no longer when ``hurry`` is set."""
        ...


@dataclass
class Orders:
    """What a serving process is told."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """To stop at once."""
    reload: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = 0.0
    """When it was told to stop, on the loop's clock."""


def workers(role: Role, settings: Settings) -> int:
    """How many processes serve this role."""
    listen = settings.listen
    return {Role.DNS: listen.dns.workers, Role.PROXY: listen.proxy.workers, Role.CONSOLE: 1}[role]
