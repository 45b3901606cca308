"""The gate: reads what a client says first, asks policy, and splices, refuses or hands over.

A connection that is handed over is recorded by the http point; one that ends here is recorded here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sumun.model.name import DomainName, IPAddress
from sumun.model.segment import Handling, ProxyPolicy
from sumun.model.verdict import DataExposed, Point, Verdict
from sumun.proxy.caller import Caller
from sumun.proxy.destination import Destination
from sumun.proxy.opening import Kind, Unreadable, client_hello, connect, kind
from sumun.proxy.origin import Forbidden, NoWay, Origins, dial
from sumun.proxy.relay import Tunnel
from sumun.proxy.ruling import ADDRESS_LITERAL, ADDRESS_MISMATCH, CONNECT_PORT, UNKNOWN_PROTOCOL, GateRuling, objection
from sumun.proxy.telling import Teller
from sumun.proxy.watch import Watch

logger = logging.getLogger(__name__)

OPENING_TIME = 15.0
"""Seconds a client has to say what it wants, each time it is asked."""
SERVER_FIRST = 2.0
"""Seconds of silence after which a client waits for the server's word, as with SSH or SMTP."""
_ALERT = bytes((0x15, 3, 3, 0, 2, 2, 49))
"""A fatal TLS alert `access_denied` (RFC 8446, 6.2): the client learns at once that it need not wait."""
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

type HandOver = Callable[[Caller, Destination | None], Awaitable[None]]
"""Lets mitmproxy go on with a connection: towards a destination, or (None) as an HTTP proxy."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Attends to callers."""

    teller: Teller
    origins: Origins
    hand_over: HandOver
    watch: Watch
    tunnels: set[Tunnel]
    """What is spliced now."""

    async def attend(self, caller: Caller) -> None:
        """Serve one connection until it is spliced, handed over or closed; never raises what a client can cause."""
        await _Visit(self, caller).run()


class _Visit:
    """One connection at the gate."""

    def __init__(self, gate: Gate, caller: Caller) -> None:
        self._gate = gate
        self._caller = caller
        self._destination: Destination | None = None
        self._server_name: DomainName | IPAddress | None = None
        self._addresses: tuple[IPAddress, ...] = ()
        self._ruling: GateRuling | None = None

    async def run(self) -> None:
        try:
            first = await self._caller.read(kind, within=OPENING_TIME)
            await (self._tunnel() if first is Kind.CONNECT else self._go_on(first))
        except (Unreadable, TimeoutError):
            if self._caller.silent and self._ruling is None:
                self._caller.close()
            else:
                self._end(Verdict.CLOSED)
        except Exception:
            logger.exception("the gate failed")
            self._gate.teller.failed(Point.GATE, self._caller.client)
            self._caller.close()  # closed whatever the segment says: half a conversation cannot be let pass
        except asyncio.CancelledError:
            self._caller.close()
            raise

    async def _tunnel(self) -> None:
        """A CONNECT: answer it, and look at what comes through."""
        try:
            request = await self._caller.read(connect, within=OPENING_TIME)
        except Unreadable as error:
            return self._end(Verdict.CLOSED, _plain(400, "Bad Request", str(error)))
        self._destination = request.destination
        ruling = self._rule()
        if ruling.verdict not in (Verdict.SPLICED, Verdict.INTERCEPTED):
            why = "the filter could not check this" if ruling.failure else "this network may not use this proxy"
            return self._end(ruling.verdict, _plain(403, "Forbidden", why))
        if ruling.verdict is Verdict.SPLICED:
            if self._is_wrong_port(request.destination, known=False):
                return self._refuse_port(request.destination.port)
            try:
                self._addresses = await self._gate.origins.addresses(request.destination, here=self._caller.here)
            except Forbidden as error:
                return self._end(Verdict.REFUSED, _plain(403, "Forbidden", str(error)))
            except NoWay as error:
                return self._end(Verdict.CLOSED, _plain(502, "Bad Gateway", str(error)))
            if self._is_wrong_port(request.destination, known=True):
                return self._refuse_port(request.destination.port)
        self._caller.forget(request.size)
        self._caller.say(_ESTABLISHED)
        inner = await self._first_inside()
        return await self._go_on(Kind.OTHER if inner is Kind.CONNECT else inner)

    async def _first_inside(self) -> Kind:
        """What begins inside a tunnel; where other protocols may pass, silence is one whose server speaks first."""
        if not self._passes_other_protocols:
            return await self._caller.read(kind, within=OPENING_TIME)
        try:
            return await self._caller.read(kind, within=SERVER_FIRST)
        except TimeoutError:
            return Kind.OTHER

    def _is_wrong_port(self, destination: Destination, *, known: bool) -> bool:
        """Whether the port is refused; before the addresses are ``known``, only if they would not matter."""
        if destination.port in self._how.connect_ports:
            return False
        origins = self._gate.origins
        return not (origins.are_internal(self._addresses) if known else origins.has_internal)

    def _refuse_port(self, port: int) -> None:
        why = f"this network may not connect to port {port} through this proxy"
        self._end(Verdict.REFUSED, _plain(403, "Forbidden", why), bypass=CONNECT_PORT)

    async def _go_on(self, kind_: Kind) -> None:
        if kind_ is Kind.TLS:
            await self._tls()
        elif kind_ is Kind.HTTP:
            # readable without decryption: the http point sees every Host, whatever the CONNECT said
            await self._hand_over(self._destination)
        elif self._passes_other_protocols and self._destination:
            await self._splice(self._destination)  # SSH, say, to a host that policy lets pass
        else:
            self._end(Verdict.CLOSED, bypass=UNKNOWN_PROTOCOL if self._ruling else None)

    async def _tls(self) -> None:
        hello = await self._caller.read(client_hello, within=OPENING_TIME)
        self._server_name = hello.server_name
        verdict = self._rule().verdict
        if self._destination is None and hello.server_name is not None:
            self._destination = Destination(hello.server_name, 443)  # sinkholed or steered to us
        if verdict is Verdict.SPLICED and (why := self._objection()):
            self._end(Verdict.REFUSED, _ALERT, bypass=why)
        elif verdict is Verdict.SPLICED and self._destination:
            await self._splice(self._destination)
        elif verdict is Verdict.INTERCEPTED:
            await self._hand_over(self._destination)
        else:
            self._end(verdict, _ALERT)

    @property
    def _how(self) -> ProxyPolicy:
        return self._gate.teller.proxy_policy(self._caller.client)

    @property
    def _passes_other_protocols(self) -> bool:
        spliced = self._ruling and self._ruling.verdict is Verdict.SPLICED
        return bool(spliced) and self._how.other_protocols is Handling.ALLOW

    def _objection(self) -> str | None:
        if self._destination and self._destination.host == self._server_name:
            return None
        why = objection(self._how, self._destination, self._server_name)
        literal = self._destination.address if self._destination else None
        if why == ADDRESS_LITERAL and literal and self._gate.origins.are_internal([literal]):
            return None
        return why

    def _rule(self) -> GateRuling:
        if self._ruling and self._destination and self._destination.host == self._server_name:
            return self._ruling  # the server name says nothing new
        self._ruling = self._gate.teller.rule_at_gate(self._caller.client, self._destination, self._server_name)
        return self._ruling

    async def _splice(self, destination: Destination) -> None:
        try:
            here = self._caller.here
            addresses = self._addresses
            if destination.address and isinstance(self._server_name, DomainName):
                # the name was judged: it leads where the name does, not where the client would have it
                named = Destination(self._server_name, destination.port)
                addresses = await self._gate.origins.addresses(named, here=here)
                if destination.address not in addresses:
                    self._gate.teller.bypass(self._caller.client, ADDRESS_MISMATCH)
            addresses = addresses or await self._gate.origins.addresses(destination, here=here)
            origin = await dial(self._gate.watch, addresses, destination.port)
        except Forbidden:
            return self._end(Verdict.REFUSED, _ALERT)
        except NoWay:
            return self._end(Verdict.CLOSED)
        self._tell(Verdict.SPLICED, DataExposed.REQUEST_BODY)
        self._relay(origin)
        return None

    def _relay(self, origin: socket.SocketType) -> None:
        client, said = self._caller.release()
        Tunnel(self._gate.watch, client, origin, self._gate.tunnels).start(said)

    async def _hand_over(self, destination: Destination | None) -> None:
        self._gate.teller.connection(self._ruling, self._caller.client, Verdict.INTERCEPTED)
        await self._gate.hand_over(self._caller, destination)

    def _end(self, verdict: Verdict, last_word: bytes = b"", *, bypass: str | None = None) -> None:
        self._caller.close(last_word)
        self._tell(verdict, DataExposed.NONE, bypass)

    def _tell(self, verdict: Verdict, exposed: DataExposed, bypass: str | None = None) -> None:
        teller = self._gate.teller
        teller.connection(self._ruling, self._caller.client, verdict)
        if self._ruling:
            name = str(self._server_name) if self._server_name else None
            teller.ended_at_gate(self._ruling, verdict, exposed, server_name=name, bypass=bypass)


def _plain(status: int, phrase: str, why: str) -> bytes:
    body = f"{why}\n".encode("utf-8", "replace")
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode() + body
