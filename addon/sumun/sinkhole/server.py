"""The sinkhole as it runs: one address, over UDP and TCP, and where it is configured over TLS and HTTPS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime

from sumun.config.settings import Settings
from sumun.loading.key_pair import Renewed
from sumun.policy.engine import Policy
from sumun.sinkhole import sockets
from sumun.sinkhole.framed import Framed
from sumun.sinkhole.handler import Handler
from sumun.sinkhole.https.fields import prepare
from sumun.sinkhole.https.http2 import MAX_STREAMS
from sumun.sinkhole.https.requests import Requests
from sumun.sinkhole.https.speaking import ALPN, Service
from sumun.sinkhole.identity import Identity
from sumun.sinkhole.limits import RateLimit
from sumun.sinkhole.local import LocalNames
from sumun.sinkhole.outcome import Protocol
from sumun.sinkhole.recall import Upstream
from sumun.sinkhole.responder import Responder
from sumun.sinkhole.sockets import CannotListen
from sumun.sinkhole.streams import MAX_OPEN, Speak, StreamListener
from sumun.sinkhole.tally import Attempts, Tally
from sumun.sinkhole.udp import UdpListener
from sumun.telemetry.metrics import Metrics

DOT = "dot"
"""As the IANA registry of ALPN has it; clients need not name it."""
_DRAIN = 6.0
"""Seconds to answer what is in flight at the end: more than a question to the upstreams may take."""
_LAST_WORDS = 1.0
"""Seconds that clients on connections get to take their last answers."""


class Sinkhole:
    """Answers DNS queries on one address."""

    def __init__(  # noqa: PLR0913 - a composition root takes every part by name
        self,
        *,
        settings: Settings,
        policy: Callable[[], Policy],
        events: Attempts,
        metrics: Metrics,
        upstreams: Upstream,
        by_segment: Mapping[str, Upstream] | None = None,
        clock: Callable[[], datetime],
        reuse_port: bool,
    ) -> None:
        self._listener = settings.listen.dns
        self._policy = policy
        self._reuse_port = reuse_port
        resolving = settings.resolving
        self._handler = Handler(
            responder=Responder(policy=policy, pages=settings.listen.pages, names=LocalNames.of(resolving)),
            upstream=upstreams,
            by_segment=by_segment,
            tally=Tally(metrics, events),
            clock=clock,
            limit=RateLimit(resolving.rate_limit, resolving.unlimited) if resolving.rate_limit else None,
            identity=Identity(self._listener.trusted, self._listener.client_subnet),
        )
        self._service = Service(
            handler=self._handler,
            requests=Requests(self._listener.https.path if self._listener.https else ""),
            trusted=self._listener.trusted,
            refused=lambda status: metrics.doh_refused.labels(str(status)).inc(),
        )
        self._udp: UdpListener | None = None
        self._streams: list[StreamListener] = []
        self.port = self.tls_port = self.https_port = 0
        """The ports that are served, known once started; nought: there is none."""

    async def start(self) -> None:
        """Serve from now on; raises CannotListen or UnusableKeyPair."""
        address, policy = self._listener.address, self._policy()
        if address.is_unspecified and not policy.segments and policy.unknown_clients is None:
            raise CannotListen(
                f"listening for DNS on `{address}` where no segment has a client serves nobody, but is found by all: "
                "define a segment with its networks, or listen on a specific address"
            )
        tls, https = self._listener.tls, self._listener.https
        tls_keys = Renewed.read(tls.keys, [DOT]) if tls else None
        https_keys = Renewed.read(https.keys, ALPN) if https else None
        if https:
            prepare()
        with ExitStack() as if_it_fails:
            udp, tcp = sockets.pair(self._listener, self._reuse_port)
            if_it_fails.callback(udp.close)
            if_it_fails.callback(tcp.close)
            self.port = udp.getsockname()[1]
            listeners = [self._stream_listener(tcp, self._speak("tcp"))]
            if tls:
                sock = self._bound(tls.port, if_it_fails)
                self.tls_port = sock.getsockname()[1]
                listeners.append(self._stream_listener(sock, self._speak("dot"), tls_keys))
            if https:
                sock = self._bound(https.port, if_it_fails)
                self.https_port = sock.getsockname()[1]
                listeners.append(self._stream_listener(sock, self._service.speak, https_keys, MAX_STREAMS))
            if_it_fails.pop_all()
        self._udp, self._streams = UdpListener(udp, self._handler), listeners
        self._udp.start()
        for listener in listeners:
            await listener.start()

    async def stop(self) -> None:
        """Take no more queries, answer those in flight, and close."""
        if self._udp is None:
            return
        self._udp.stop_reading()
        for listener in self._streams:
            listener.stop_reading()
        await self._handler.drain(_DRAIN)
        await asyncio.gather(*(listener.close(_LAST_WORDS) for listener in self._streams))
        self._udp.close()
        self._udp, self._streams = None, []

    async def prepare(self, policy: Policy) -> None:
        """Get ready for a policy that is about to be in force; never raises."""
        await self._handler.prepare(policy)

    def settle(self) -> None:
        """Hand on what is counted and noted so far; this happens by itself within a moment."""
        self._handler.settle()

    def _bound(self, port: int, if_it_fails: ExitStack) -> socket.socket:
        sock = sockets.stream(self._listener, port, self._reuse_port)
        if_it_fails.callback(sock.close)
        return sock

    def _speak(self, protocol: Protocol) -> Speak:
        return lambda connection, _agreed: Framed(connection, self._handler, protocol)

    def _stream_listener(
        self, sock: socket.socket, speak: Speak, keys: Renewed | None = None, max_open: int = MAX_OPEN
    ) -> StreamListener:
        return StreamListener(
            sock,
            speak,
            keys=keys,
            trusted=self._listener.trusted,
            accused=self._handler.accused,
            max_open=max_open,
        )
