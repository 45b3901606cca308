"""What a process can be, and what serves it."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

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


def workers(role: Role, settings: Settings) -> int:
    """How many processes serve this role."""
    listen = settings.listen
    return {Role.DNS: listen.dns.workers, Role.PROXY: listen.proxy.workers, Role.CONSOLE: 1}[role]
