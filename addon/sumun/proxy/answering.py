"""Which of several addresses of an origin answers, for connections that mitmproxy makes itself: it would try one only.

What is spliced is dialled by ``origin``, which keeps the connection that was first.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from sumun.model.name import IPAddress
from sumun.proxy.origin import DIAL_TIME, DIALS, PATIENCE, Unreachable

REMEMBERED = 60.0
"""Seconds for which the address that answered is taken without asking again."""
_ENTRIES = 4096


class Answering:
    """Remembers for a while which address answered."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[IPAddress, ...], int], tuple[float, IPAddress]] = {}

    async def one_of(self, addresses: tuple[IPAddress, ...], port: int) -> IPAddress:
        """Choose among these vetted addresses; raises Unreachable. A single one is taken as it is."""
        if len(addresses) == 1:
            return addresses[0]
        key, now = (addresses, port), asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known and now < known[0]:
            return known[1]
        if len(self._known) >= _ENTRIES:
            self._known.clear()
        found = await _first_to_answer(addresses[:DIALS], port)
        self._known[key] = now + REMEMBERED, found
        return found


async def _first_to_answer(addresses: tuple[IPAddress, ...], port: int) -> IPAddress:
    """Ask one after the other, each a moment later than the last (RFC 8305, 5)."""
    trials = [asyncio.create_task(_answers(address, port, n * PATIENCE)) for n, address in enumerate(addresses)]
    try:
        for trial in asyncio.as_completed(trials, timeout=DIAL_TIME):
            with suppress(ConnectionError, OSError):
                return await trial
    except TimeoutError:
        pass
    finally:
        for task in trials:
            task.cancel()
        await asyncio.gather(*trials, return_exceptions=True)
    raise Unreachable(f"port {port} cannot be reached at any address")


async def _answers(address: IPAddress, port: int, delay: float) -> IPAddress:
    await asyncio.sleep(delay)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    return address
