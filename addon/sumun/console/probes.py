"""Does a listener answer? Each probe returns, or raises ProbeFailed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from sumun.model.name import IPAddress

HEALTH_NAME = "health.sumun.invalid"
"""Answered by the sinkhole itself; under ``invalid`` (RFC 6761), so that it is never anybody's."""

type Probe = Callable[[], Awaitable[None]]


class ProbeFailed(Exception):
    """The listener does not answer; the message says how it failed."""


def dns_answers(address: IPAddress, port: int) -> Probe:
    """Ask the resolver at this address for HEALTH_NAME over UDP.

    REFUSED counts as an answer: it is what policy gives a client of no segment, as a host may be to itself.
    """

    async def probe() -> None:
        query = dns.message.make_query(HEALTH_NAME, dns.rdatatype.A, id=secrets.randbits(16))
        answer = await _exchange(str(reachable(address)), port, query.to_wire())
        try:
            response = dns.message.from_wire(answer)
        except dns.exception.DNSException:
            raise ProbeFailed("the answer is no dns message") from None
        if not query.is_response(response):
            raise ProbeFailed("the answer is to another question")
        if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.REFUSED):
            raise ProbeFailed(f"the answer is {dns.rcode.to_text(response.rcode())}")

    return probe


def tcp_connects(address: IPAddress, port: int) -> Probe:
    """Connect to this address and close again."""

    async def probe() -> None:
        try:
            _, writer = await asyncio.open_connection(str(reachable(address)), port)
        except OSError as fault:
            raise ProbeFailed(f"no connection: {_cause(fault)}") from None
        writer.transport.abort()  # not a byte was sent: nothing to wait for

    return probe


def reachable(address: IPAddress) -> IPAddress:
    """The address to connect to where one listens on this one: loopback for the wildcard."""
    if not address.is_unspecified:
        return address
    return IPv4Address("127.0.0.1") if address.version == 4 else IPv6Address("::1")


class _OneAnswer(asyncio.DatagramProtocol):
    """The first datagram, or the first fault, on a connected socket."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _exchange(host: str, port: int, query: bytes) -> bytes:
    try:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            _OneAnswer, remote_addr=(host, port)
        )
        try:
            transport.sendto(query)
            return await protocol.answer
        finally:
            transport.close()
    except OSError as fault:
        raise ProbeFailed(f"no answer: {_cause(fault)}") from None


def _cause(fault: OSError) -> str:
    return (fault.strerror or str(fault)).lower()
