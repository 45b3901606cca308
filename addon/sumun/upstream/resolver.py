"""The resolvers that Sumun asks, in order of preference."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import dns.exception
import dns.message
import dns.name
from dns.rcode import Rcode
from dns.rdatatype import RdataType

from sumun.config.settings import Transport, Upstream
from sumun.model.name import DomainName, IPAddress
from sumun.telemetry.metrics import Metrics
from sumun.upstream.cache import AddressCache, Found
from sumun.upstream.datagram import ask_datagram
from sumun.upstream.errors import UpstreamError
from sumun.upstream.hedge import Budget, Pace
from sumun.upstream.message import TC, flags_of
from sumun.upstream.streams import StreamPool
from sumun.upstream.system import RESOLV_CONF, Endpoint, SystemResolvers

_MAX_AT_ONCE = 400
"""Questions on their way; each holds a socket, and hosts commonly allow 1,024 open files."""
_MAX_WAITING = 2_000
_SHARES = (0.3, 0.6)
"""Parts of the time allowed that one server gets in the first round, and in the second."""
_PENALTY = 15.0
"""Seconds for which a server that failed is asked after the others."""
_TRY_NEXT: Final = frozenset({Rcode.SERVFAIL, Rcode.REFUSED})
_MAX_ADDRESSES = 16


@dataclass(frozen=True, slots=True)
class Server:
    """Where a question goes; ``label`` names it in metrics."""

    label: str
    upstream: Upstream
    streams: StreamPool
    mismatched: Callable[[], object]
    """Counts an answer that is none to what was asked."""
    pace: Pace = field(default_factory=Pace)


class Upstreams:
    """Asks one resolver after another until one answers.

    ``timeout`` is in seconds for a whole question. ``ours`` are end points of this very host that must not be asked
    though resolv.conf names them. ``tls`` is for tests with certificates of their own.
    """

    def __init__(
        self,
        upstreams: tuple[Upstream, ...],
        *,
        metrics: Metrics,
        timeout: float = 4.5,
        ours: Iterable[Endpoint] = (),
        resolv_conf: Path = RESOLV_CONF,
        tls: ssl.SSLContext | None = None,
        mixed_case: bool = False,
    ) -> None:
        self._configured = upstreams
        self._system = SystemResolvers(resolv_conf, frozenset(ours))
        self._metrics = metrics
        self._timeout = timeout
        self._tls = tls
        self._mixed_case = mixed_case
        self._budget = Budget()
        self._late: set[asyncio.Task[bytes]] = set()
        """Questions whose answer somebody else gave: they go on to tell how long their server takes."""
        self._servers: dict[Upstream, Server] = {}
        self._failed_at: dict[Upstream, float] = {}
        self._slots = asyncio.Semaphore(_MAX_AT_ONCE)
        self._waiting = 0
        self._cache = AddressCache(self._find, time.monotonic)

    async def ask(self, query: bytes) -> bytes:
        """The answer to a well-formed query, with the query's own id; raises UpstreamError, and nothing else.

        The answer has the query's question, but may say SERVFAIL or REFUSED, if that is all that anyone said.
        """
        faults: list[str] = []
        try:
            async with asyncio.timeout(self._timeout), self._slot():
                return query[:2] + (await self._ask_in_turn(query, faults))[2:]
        except TimeoutError:
            faults.append("out of time")
            raise UpstreamError("no resolver answered: " + "; ".join(faults)) from None

    async def addresses(self, name: DomainName) -> tuple[IPAddress, ...]:
        """Addresses of a host, IPv4 first, at most 16, none if it has none; raises UpstreamError, and nothing else.

        They are kept for as long as the answer allows (see ``cache``).
        """
        return await self._cache.addresses(name)

    async def close(self) -> None:
        """Close the connections kept open."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)
        for server in self._servers.values():
            await server.streams.close()

    async def _find(self, name: DomainName) -> Found:
        families = (RdataType.A, RdataType.AAAA)
        answers = await asyncio.gather(*(self._addresses(name, type_) for type_ in families), return_exceptions=True)
        found = [answer for answer in answers if isinstance(answer, Found)]
        faults = [answer for answer in answers if isinstance(answer, BaseException)]
        addresses = tuple(address for answer in found for address in answer.addresses)
        if faults and not addresses:
            raise faults[0]
        # half an answer is not worth keeping
        ttl = 0 if faults else min((answer.ttl for answer in found if answer.addresses), default=0)
        return Found(addresses[:_MAX_ADDRESSES], ttl)

    async def _addresses(self, name: DomainName, type_: RdataType) -> Found:
        query = dns.message.make_query(dns.name.from_text(name.text), type_, use_edns=0, payload=1232)
        reply = await self.ask(query.to_wire())
        try:
            message = dns.message.from_wire(reply)
            if message.rcode() not in (Rcode.NOERROR, Rcode.NXDOMAIN):
                raise UpstreamError(f"resolving `{name}`: {message.rcode().name}")
            assert isinstance(message, dns.message.QueryMessage)  # noqa: S101 - narrows the type; opcode is checked
            chain = message.resolve_chaining()
        except dns.exception.DNSException as fault:
            raise UpstreamError(f"resolving `{name}`: answer is malformed: {fault}") from fault
        return Found(tuple(ip_address(record.to_text()) for record in chain.answer or ()), chain.minimum_ttl)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._waiting >= _MAX_WAITING:
            raise UpstreamError("too many questions wait for the resolvers")
        self._waiting += 1
        try:
            async with self._slots:
                yield
        finally:
            self._waiting -= 1

    async def _ask_in_turn(self, query: bytes, faults: list[str]) -> bytes:
        if not self._configured:
            raise UpstreamError("no resolver is configured: name one under `upstreams`")
        unhelpful: bytes | None = None
        for share in _SHARES:
            servers = self._in_order(faults)
            for n, server in enumerate(servers):
                try:
                    reply = await self._ask_in_time(server, servers[n + 1 : n + 2], query, self._timeout * share)
                except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as fault:
                    faults.append(f"`{server.label}`: {str(fault) or 'timed out'}")
                    continue
                if flags_of(reply) & 0xF not in _TRY_NEXT:
                    return reply
                unhelpful = reply
            if unhelpful:
                return unhelpful
        raise UpstreamError("no resolver answered: " + "; ".join(faults))

    async def _ask_in_time(self, server: Server, others: list[Server], query: bytes, patience: float) -> bytes:
        """Ask a server, and where it takes longer than it usually does, another one too: the first answer counts."""
        self._budget.asked()
        if not others or (usual := server.pace.usual) is None or usual >= patience:
            return await self._ask_server(server, query, patience)
        first = self._asking(server, query, patience)
        if (await asyncio.wait({first}, timeout=usual))[0] or not self._budget.take():
            return await first
        self._metrics.dns_upstream_hedged.labels(server.label).inc()
        second = self._asking(others[0], query, patience)
        done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        helpful = (task for task in done if not task.exception() and flags_of(task.result()) & 0xF not in _TRY_NEXT)
        if answer := next(helpful, None):
            return answer.result()
        return await (second if first in done and second not in done else first)

    def _asking(self, server: Server, query: bytes, patience: float) -> asyncio.Task[bytes]:
        task = asyncio.create_task(self._ask_server(server, query, patience))
        self._late.add(task)
        task.add_done_callback(self._answered)
        return task

    def _answered(self, task: asyncio.Task[bytes]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits has it; nobody may

    async def _ask_server(self, server: Server, query: bytes, patience: float) -> bytes:
        outcome, start = "failed", time.perf_counter()
        try:
            async with asyncio.timeout(patience):
                reply = await _ask(server, query, mixed_case=self._mixed_case)
            outcome = "answered"
        except TimeoutError:
            outcome = "timeout"
            raise
        finally:
            self._note(server, outcome, time.perf_counter() - start)
        return reply

    def _note(self, server: Server, outcome: str, seconds: float) -> None:
        self._metrics.dns_upstream_duration.labels(server.label, outcome).observe(seconds)
        if outcome == "answered":
            server.pace.note(seconds)
            self._failed_at.pop(server.upstream, None)
        else:
            self._failed_at[server.upstream] = time.monotonic()

    def _in_order(self, faults: list[str]) -> list[Server]:
        """As configured, but those that failed lately last."""
        servers = [self._server(label, upstream) for label, upstream in self._current(faults)]
        lately = time.monotonic() - _PENALTY
        return sorted(servers, key=lambda server: self._failed_at.get(server.upstream, lately) > lately)

    def _current(self, faults: list[str]) -> Iterator[tuple[str, Upstream]]:
        for upstream in self._configured:
            if upstream.transport is not Transport.SYSTEM:
                yield upstream.text, upstream
                continue
            try:
                yield from ((upstream.text, server) for server in self._system.current())
            except UpstreamError as fault:
                faults.append(str(fault))

    def _server(self, label: str, upstream: Upstream) -> Server:
        if upstream not in self._servers:
            mismatched = self._metrics.dns_upstream_mismatched.labels(label).inc
            streams = StreamPool(upstream, self._tls_for(upstream.transport), mismatched)
            self._servers[upstream] = Server(label, upstream, streams, mismatched)
        return self._servers[upstream]

    def _tls_for(self, transport: Transport) -> ssl.SSLContext | None:
        if transport is Transport.UDP:
            return None
        return self._tls or ssl.create_default_context()


async def _ask(server: Server, query: bytes, *, mixed_case: bool) -> bytes:
    upstream = server.upstream
    if upstream.transport is not Transport.UDP:
        return await server.streams.ask(query)
    reply = await ask_datagram(upstream.host, upstream.port, query, mixed_case=mixed_case, mismatched=server.mismatched)
    return await server.streams.ask(query) if flags_of(reply) & TC else reply
