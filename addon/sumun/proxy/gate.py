"""The gate: reads what a client says first, asks policy, and splices, refuses or hands over.

A connection that is handed over is recorded by the http point; one that ends here is recorded here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from sumun.model.name import DomainName, IPAddress
from sumun.model.next_proxy import NextProxy
from sumun.model.parents import forwarded_in, header, is_parent
from sumun.model.request import UNKNOWN
from sumun.model.rule import IPNetwork
from sumun.model.segment import Handling
from sumun.model.user import Identity
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.proxy.asking_who import Parting, ask_connect, ask_if_it_matters, ask_socks, is_nameless
from sumun.proxy.authentication import Authentication, Who
from sumun.proxy.caller import Caller
from sumun.proxy.destination import Destination
from sumun.proxy.next_proxy import through
from sumun.proxy.opening import Kind, Unreadable, client_hello, connect, kind, request_line
from sumun.proxy.origin import Forbidden, NoWay, Origins, dial
from sumun.proxy.pinned import Pinned
from sumun.proxy.quick import Quick
from sumun.proxy.relay import Tunnel
from sumun.proxy.ruling import (
    ADDRESS_LITERAL,
    ADDRESS_MISMATCH,
    CONNECT_PORT,
    UNKNOWN_PROTOCOL,
    GateRuling,
    gate_ruling,
    objection,
)
from sumun.proxy.short_answers import HTTP, SOCKS, Words, plain
from sumun.proxy.socks import CHOSEN, NO_METHOD, Unanswerable, greeting
from sumun.proxy.socks import request as socks_request
from sumun.proxy.telling import Teller
from sumun.proxy.tunnels import Tunnels
from sumun.proxy.watch import Watch
from sumun.proxy.welcome import answer

logger = logging.getLogger(__name__)

OPENING_TIME = 15.0
"""Seconds a client has to say what it wants, each time it is asked."""
SERVER_FIRST = 2.0
"""Seconds of silence after which a client waits for the server's word, as with SSH or SMTP."""
_ALERT = bytes((0x15, 3, 3, 0, 2, 2, 49))
"""A fatal TLS alert `access_denied` (RFC 8446, 6.2): the client learns at once that it need not wait."""

type HandOver = Callable[[Caller, Destination | None], Coroutine[Any, Any, None]]
"""Lets mitmproxy go on with a connection: towards a destination, or (None) as an HTTP proxy."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Attends to callers."""

    teller: Teller
    origins: Origins
    hand_over: HandOver
    watch: Watch
    tunnels: Tunnels[Tunnel]
    opened: Callable[[str], None]
    """Told of a client whose connection has come to the point."""
    opening: float = OPENING_TIME
    trusted: tuple[IPNetwork, ...] = ()
    """Parents that are believed when they tell whose connection it is."""
    pinned: Pinned = field(default_factory=Pinned)
    """Clients that refused our certificate."""
    authentication: Authentication | None = None
    """Finds out who the user is; None where nobody is asked."""
    quick: Quick | None = None
    """Answers plain requests that are stopped; None leaves them all to mitmproxy."""
    port: int = 0
    certificate: bytes = b""
    """What clients install, in PEM."""

    @property
    def is_welcoming(self) -> bool:
        """Whether clients are told how to use the proxy: on its own port only, where nobody means another host."""
        return bool(self.certificate)

    def attend(self, caller: Caller) -> Coroutine[Any, Any, None]:
        """Serve one connection until it is spliced, handed over or closed; never raises what a client can cause."""
        return _Visit(self, caller).run()


class _Visit:
    """One connection at the gate."""

    __slots__ = ("_addresses", "_caller", "_destination", "_gate", "_ruling", "_server_name", "_who")

    def __init__(self, gate: Gate, caller: Caller) -> None:
        self._gate = gate
        self._caller = caller
        self._destination: Destination | None = None
        self._server_name: DomainName | IPAddress | None = None
        self._addresses: tuple[IPAddress, ...] = ()
        self._ruling: GateRuling | None = None
        self._who: Who = None

    async def run(self) -> None:
        gate, caller = self._gate, self._caller
        try:
            if gate.trusted and self._is_parent():
                await self._hear_parent()
            self._destination = caller.original
            first = ready if (ready := caller.heard(kind)) else await caller.read(kind, within=gate.opening)
            if first is Kind.CONNECT:
                await self._connect()
            elif first is Kind.SOCKS:
                await self._socks()
            else:
                await self._go_on(first)
        except (Unreadable, TimeoutError) as why:
            self._break_off(why)
        except Exception:
            logger.exception("the gate failed")
            self._gate.teller.failed(Point.GATE, self._caller.client)
            self._caller.close()  # closed whatever the segment says: half a conversation cannot be let pass
        except asyncio.CancelledError:
            self._caller.close()
            raise

    def _break_off(self, why: Exception) -> None:
        if isinstance(why, Parting):
            self._end(why.verdict, why.last_word)
        elif self._caller.silent and self._ruling is None:
            self._caller.close()
        else:
            self._end(Verdict.CLOSED)

    def _is_parent(self) -> bool:
        return is_parent(self._caller.client, self._gate.trusted)

    async def _hear_parent(self) -> None:
        """Take the client's address from a PROXY header, where a listed parent sends one."""
        found = await self._caller.read(header, within=self._gate.opening)
        self._caller.forget(found.size)
        self._caller.client = found.client or self._caller.client

    async def _connect(self) -> None:
        gate, caller = self._gate, self._caller
        try:
            request = ready if (ready := caller.heard(connect)) else await caller.read(connect, within=gate.opening)
        except Unreadable as error:
            return self._end(Verdict.CLOSED, plain(400, "Bad Request", str(error)))
        if parent := bool(gate.trusted) and self._is_parent():
            told = forwarded_in(caller.said(request.size), gate.trusted)
            caller.client = told or caller.client
        if gate.authentication:
            self._who = await ask_connect(gate.authentication, caller, request.size, parent=parent)
        caller.forget(request.size)
        return await self._tunnel(request.destination, HTTP)

    async def _socks(self) -> None:
        """SOCKS5: the same as a CONNECT, in other words."""
        offered = await self._caller.read(greeting, within=self._gate.opening)
        self._caller.forget(offered.size)
        if self._gate.authentication:
            self._who = await ask_socks(self._gate.authentication, self._caller, offered)
        elif not offered.anonymous:
            return self._end(Verdict.CLOSED, NO_METHOD)
        else:
            self._caller.say(CHOSEN)
        try:
            request = await self._caller.read(socks_request, within=self._gate.opening)
        except Unanswerable as error:
            return self._end(Verdict.CLOSED, error.reply.octets)
        self._caller.forget(request.size)
        return await self._tunnel(request.destination, SOCKS)

    async def _tunnel(self, destination: Destination, words: Words) -> None:
        """Answer who wants a tunnel, and look at what comes through."""
        gate, caller = self._gate, self._caller
        self._destination = destination
        if self._who is UNKNOWN and gate.authentication:
            ask_if_it_matters(gate.authentication, caller, self._rule())
        caller.who = self._who = self._who if isinstance(self._who, Identity) else None
        ruling = self._rule()
        if ruling.verdict is Verdict.SPLICED:
            if not (self._knows_way(ruling, destination) or await self._finds_way(ruling, destination, words)):
                return None
        elif ruling.verdict is not Verdict.INTERCEPTED:
            why = "the filter could not check this" if ruling.failure else "this network may not use this proxy"
            return self._end(ruling.verdict, words.forbidden(why))
        caller.say(words.established)
        if self._passes_other_protocols:
            inner = await self._first_inside()
        else:
            inner = await caller.read(kind, within=gate.opening)
        return await (self._tls() if inner is Kind.TLS else self._go_on(inner))

    def _knows_way(self, ruling: GateRuling, destination: Destination) -> bool:
        """Whether this way was found a moment ago, and nothing stands in it: then nothing has to be waited for."""
        if destination.port in ruling.how.connect_ports and not ruling.how.next_proxy:
            self._addresses = self._gate.origins.recalled(destination, here=self._caller.here)
        return bool(self._addresses)

    async def _finds_way(self, ruling: GateRuling, destination: Destination, words: Words) -> bool:
        """Find the addresses to dial; without a way, or where it may not be taken, the client is told so."""
        origins, port = self._gate.origins, destination.port
        is_open = port in ruling.how.connect_ports or port in words.ports
        try:
            if is_open or origins.has_internal:
                self._addresses = await self._onward_addresses(destination, here=self._caller.here)
        except Forbidden as error:
            self._end(Verdict.REFUSED, words.forbidden(str(error)))
        except NoWay as error:
            self._end(Verdict.CLOSED, words.unreachable(str(error)))
        else:  # there are no addresses of a name that the next proxy resolves
            if is_open or (self._addresses and origins.are_internal(self._addresses)):
                return True
            why = f"this network may not connect to port {port} through this proxy"
            self._end(Verdict.REFUSED, words.forbidden(why), bypass=CONNECT_PORT)
        return False

    async def _onward_addresses(self, destination: Destination, *, here: IPAddress) -> tuple[IPAddress, ...]:
        """The addresses to dial; none of a name that the next proxy resolves. Raises NoWay."""
        how, origins = self._ruling.how.next_proxy if self._ruling else None, self._gate.origins
        if how and how.leads_to(destination.host):
            origins.vet(destination, here=here)
            return (destination.address,) if destination.address else ()
        return await origins.addresses(destination, here=here)

    async def _first_inside(self) -> Kind:
        """What begins inside a tunnel where other protocols may pass: silence is one whose server speaks first."""
        try:
            return await self._caller.read(kind, within=SERVER_FIRST)
        except TimeoutError:
            return Kind.OTHER

    async def _go_on(self, kind_: Kind) -> None:
        if kind_ is Kind.TLS:
            await self._tls()
        elif kind_ is Kind.HTTP and self._gate.is_welcoming and await self._welcome():
            return
        elif kind_ is Kind.HTTP:
            # readable without decryption: the http point sees every Host, whatever the CONNECT said
            await self._hand_over(None if self._caller.original else self._destination)
        elif self._destination and self._passes_other_protocols:
            await self._splice(self._destination)  # SSH, say, to a host that policy lets pass
        else:
            self._end(Verdict.CLOSED, bypass=UNKNOWN_PROTOCOL if self._ruling else None)

    async def _welcome(self) -> bool:
        """Whether the client only wanted to know how to use this proxy, and has been told."""
        if self._destination or not self._gate.teller.knows(self._caller.client):
            return False
        head = await self._caller.read(request_line, within=self._gate.opening)
        answered = answer(head, Destination(self._caller.here, self._gate.port), self._gate.certificate)
        if answered:
            self._caller.close(answered)
        return bool(answered)

    async def _tls(self) -> None:
        within, caller = self._gate.opening, self._caller
        hello = ready if (ready := caller.heard(client_hello)) else await caller.read(client_hello, within=within)
        self._server_name = hello.server_name
        ruling = self._rule()
        verdict = ruling.verdict
        if self._destination is None and hello.server_name is not None:
            self._destination = Destination(hello.server_name, 443)  # sinkholed or steered to us
        passes = verdict is Verdict.SPLICED or (verdict is Verdict.INTERCEPTED and self._is_pinned(ruling))
        if passes and self._gate.authentication and is_nameless(self._gate.authentication, self._caller):
            self._end(Verdict.REFUSED, _ALERT)
        elif passes and (why := self._objection(ruling)):
            self._end(Verdict.REFUSED, _ALERT, bypass=why)
        elif passes and self._destination:
            await self._splice(self._destination)
        elif verdict is Verdict.INTERCEPTED:
            await self._hand_over(self._named())
        else:
            self._end(verdict, _ALERT)

    def _named(self) -> Destination | None:
        """Where the server name leads, if it is all that is known of an address: the name was judged."""
        if self._destination and self._destination.address and isinstance(self._server_name, DomainName):
            return Destination(self._server_name, self._destination.port)
        return self._destination

    def _is_pinned(self, ruling: GateRuling) -> bool:
        """Whether the client refused our certificate here lately, and the rules can do without looking."""
        gate, named = self._gate, self._named()
        if named is None or not (self._caller.original or named.port in ruling.how.connect_ports):
            return False
        return gate.pinned.passes(self._caller.client, named.host, ruling.ruling.outcome, gate.teller.clock())

    @property
    def _passes_other_protocols(self) -> bool:
        ruling = self._ruling or self._rule()
        return ruling.verdict is Verdict.SPLICED and ruling.how.other_protocols is Handling.ALLOW

    def _objection(self, ruling: GateRuling) -> str | None:
        if self._is_same:
            return None
        why = objection(ruling.how, self._destination, self._server_name)
        literal = self._destination.address if self._destination else None
        if why == ADDRESS_LITERAL and literal and self._gate.origins.are_internal([literal]):
            return None
        return why

    @property
    def _is_same(self) -> bool:
        """Whether the server name is the destination's: nearly always the same object, since few names come often."""
        host = self._destination.host if self._destination else None
        return host is not None and (host is self._server_name or host == self._server_name)

    def _rule(self) -> GateRuling:
        if self._ruling and self._is_same:
            return self._ruling  # the server name says nothing new
        self._ruling = self._gate.teller.rule_at_gate(
            self._caller.client, self._destination, self._server_name, self._who
        )
        return self._ruling

    async def _splice(self, destination: Destination) -> None:
        how = self._ruling.how.next_proxy if self._ruling else None
        if how and how.leads_to((onward := self._named() or destination).host):
            return await self._splice_through(how, onward)
        try:
            here = self._caller.here
            addresses = self._addresses
            named = self._named()
            if destination.address and named and named.name:
                addresses = await self._gate.origins.addresses(named, here=here)
                if destination.address not in addresses:
                    self._gate.teller.bypass(self._caller.client, ADDRESS_MISMATCH)
            addresses = addresses or await self._gate.origins.addresses(destination, here=here)
            origin = await dial(self._caller, addresses, destination.port)
        except Forbidden:
            return self._end(Verdict.REFUSED, _ALERT)
        except NoWay:
            return self._end(Verdict.CLOSED)
        self._tell(Verdict.SPLICED, DataExposed.REQUEST_BODY)
        self._relay(origin)
        return None

    async def _splice_through(self, how: NextProxy, destination: Destination) -> None:
        caller, gate = self._caller, self._gate
        try:
            gate.origins.vet(destination, here=caller.here)
            way = through(gate.origins, how, destination, caller.client)
            origin, early = await asyncio.create_task(way)
        except Forbidden:
            return self._end(Verdict.REFUSED, _ALERT)
        except NoWay as error:
            logger.warning("%s", error)
            return self._end(Verdict.CLOSED, _ALERT)
        if early:
            caller.say(early)
        self._tell(Verdict.SPLICED, DataExposed.REQUEST_BODY)
        self._relay(origin)
        return None

    def _relay(self, origin: socket.SocketType) -> None:
        caller, ruling = self._caller, self._ruling.ruling if self._ruling else None
        client, said = caller.release()
        tunnels = self._gate.tunnels
        tunnel = Tunnel(self._gate.watch, client, origin, tunnels.discard)
        caller.is_spliced = True
        ends = (self._still_allowed, ruling.outcome.valid_until) if ruling and ruling.is_logged else (None, None)
        tunnels.add(tunnel, *ends, client=caller.came_from)
        tunnel.start(said)

    def _still_allowed(self) -> bool:
        """Whether this connection would be spliced if it began now; asked again of policy, not of the metrics."""
        teller = self._gate.teller
        ruling = gate_ruling(
            teller.policy(), self._caller.client, self._destination, self._server_name, self._who, at=teller.clock()
        )
        if ruling.verdict is Verdict.INTERCEPTED:
            return self._is_pinned(ruling)
        return ruling.verdict is Verdict.SPLICED

    async def _hand_over(self, destination: Destination | None) -> None:
        gate, caller = self._gate, self._caller
        gate.teller.connection(self._ruling, caller.client, Verdict.INTERCEPTED)
        caller.has_opened = True
        gate.opened(caller.came_from)
        if gate.quick and self._ruling is None and await gate.quick.attend(caller, is_proxy=gate.is_welcoming):
            return
        await asyncio.create_task(gate.hand_over(caller, destination))  # mitmproxy's code needs a task

    def _end(self, verdict: Verdict, last_word: bytes = b"", *, bypass: str | None = None) -> None:
        self._caller.close(last_word)
        self._tell(verdict, DataExposed.NONE, bypass)

    def _tell(self, verdict: Verdict, exposed: DataExposed, bypass: str | None = None) -> None:
        teller, ruling, name = self._gate.teller, self._ruling, self._server_name
        teller.connection(ruling, self._caller.client, verdict)
        if ruling:
            pinned = verdict is Verdict.SPLICED and ruling.verdict is Verdict.INTERCEPTED
            if pinned:
                teller.metrics.pinned.labels(ruling.ruling.outcome.segment, "spliced").inc()
            teller.ended_at_gate(ruling, verdict, exposed, server_name=name, bypass=bypass, pinned=pinned)
