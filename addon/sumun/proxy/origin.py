"""The way to an origin: its addresses, vetted, and the connection to one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

from sumun.model.name import IPAddress
from sumun.proxy.destination import Destination, Vetting, usable
from sumun.proxy.ports import Resolver
from sumun.upstream.errors import UpstreamError

RESOLVE_TIME = 10.0
"""Seconds until a name must have an address."""
DIAL_TIME = 8.0
"""Seconds an address has to answer."""
DIALS = 3
"""Addresses of one name that are tried."""


class NoWay(Exception):
    """There is no connection to be had; the message is for the user."""


class Forbidden(NoWay):
    """The destination may not be dialled."""


class Unreachable(NoWay):
    """The destination has no address, or does not answer."""


class Origins:
    """Finds and dials origins by the rules of this host."""

    def __init__(self, resolver: Resolver, vetting: Vetting) -> None:
        self._resolver = resolver
        self._vetting = vetting

    def protect(self, listeners: Iterable[tuple[IPAddress, int]]) -> None:
        """Never dial these either: listeners that were opened on a port of the system's choice."""
        self._vetting = replace(self._vetting, own=self._vetting.own | frozenset(listeners))

    async def addresses(self, destination: Destination, *, here: IPAddress | None = None) -> tuple[IPAddress, ...]:
        """The addresses that may be dialled, at least one; raises NoWay."""
        found = await self._resolved(destination)
        good, why = usable(self._vetting, found, destination.port, here=here)
        if good:
            return good
        raise Forbidden(why) if found else Unreachable(f"`{destination.host}`: {why}")

    async def _resolved(self, destination: Destination) -> tuple[IPAddress, ...]:
        if destination.name is None:
            return (destination.address,) if destination.address else ()
        try:
            async with asyncio.timeout(RESOLVE_TIME):
                return await self._resolver.addresses(destination.name)
        except UpstreamError as error:
            raise Unreachable(f"`{destination.host}` cannot be resolved: {error}") from error
        except TimeoutError:
            raise Unreachable(f"`{destination.host}` cannot be resolved: no answer") from None


async def dial[P: asyncio.Protocol](protocol: Callable[[], P], addresses: tuple[IPAddress, ...], port: int) -> P:
    """Connect to the first of these vetted addresses that answers; raises Unreachable."""
    loop = asyncio.get_running_loop()
    why = "no address"
    for address in addresses[:DIALS]:
        try:
            async with asyncio.timeout(DIAL_TIME):
                _, connected = await loop.create_connection(protocol, str(address), port)
        except TimeoutError:
            why = "no answer"
        except OSError as error:
            why = (error.strerror or str(error)).lower()
        else:
            return connected
    raise Unreachable(f"port {port} cannot be reached: {why}")
