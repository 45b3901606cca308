"""The shell: listeners, mitmproxy and the gate, started and stopped together."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from mitmproxy.addons import next_layer, proxyserver, tlsconfig
from mitmproxy.master import Master
from mitmproxy.options import Options

from sumun.config.settings import Leading, Settings, TlsListener
from sumun.model.fault import OperatorFault
from sumun.model.parents import is_parent
from sumun.proxy.ca import CertificateAuthority, ensure_ca
from sumun.proxy.caller import IDLE, Caller, plain_address
from sumun.proxy.caps import Caps
from sumun.proxy.exchanges import Exchange, Exchanges
from sumun.proxy.gate import Gate
from sumun.proxy.guard import GuardInstance
from sumun.proxy.listening import ProxyFault, listeners, why_not
from sumun.proxy.parts import Parts
from sumun.proxy.relay import INTERVAL, Tunnel
from sumun.proxy.tls_front import TlsFront
from sumun.proxy.tunnels import Tunnels
from sumun.proxy.watch import Watch

logger = logging.getLogger(__name__)

DRAIN = 3.0
"""Seconds that connections which have not ended by themselves have to end properly."""

_LOOK = 0.1
"""Seconds between two looks at whether all connections have ended."""
_STARTING = 30.0
"""Seconds that mitmproxy has to come up, which it does in a few milliseconds or not at all."""


def mitmproxy_options(settings: Settings, ca_folder: Path) -> dict[str, Any]:
    """What the filter relies on, in every mode."""
    return {
        "confdir": str(ca_folder),
        # Eager would dial before a request is decided on, and would show a blocked server our ClientHello. Lazy was
        # found to serve keep-alive, HTTP/2 and origins without it (tests/integration/test_proxy_http.py).
        "connection_strategy": "lazy",
        # The origin's names in our certificate would let a browser send requests for one host down another's tunnel.
        "upstream_cert": False,
        "rawtcp": False,
        "ssl_insecure": False,
        "ssl_verify_upstream_trusted_ca": str(settings.upstream_ca) if settings.upstream_ca else None,
        "tcp_timeout": int(IDLE),
    }


class Proxy:
    """All listeners of one process."""

    def __init__(self, parts: Parts, *, reuse_port: bool = False) -> None:
        """Take the parts; ``reuse_port`` where several processes share the listeners."""
        self._parts = parts
        self._settings = parts.settings
        self._reuse_port = reuse_port
        self._origins = parts.origins
        metrics = parts.metrics
        self._metrics = metrics
        settings = parts.settings
        self._callers: set[Caller] = set()
        limits, trusted = settings.proxy_limits, settings.trusted_parents
        limited = metrics.proxy_limited
        self._caps = Caps(
            limits.connections, limits.handshakes, lambda client: is_parent(plain_address(client), trusted),
            lambda limit: limited.labels(limit).inc(),
        )  # fmt: skip
        self._instances: list[GuardInstance] = []
        self._tunnels: Tunnels[Tunnel] = Tunnels(parts.policy, parts.clock, self._caps.gone)
        self.exchanges: Tunnels[Exchange] = Tunnels(parts.policy, parts.clock)
        """Decrypted requests under way that concern generative AI."""
        self._front: TlsFront | None = None
        self._watching: list[asyncio.Task[None]] = []
        self._watch: Watch | None = None
        self._chore: asyncio.TimerHandle | None = None
        self._master: Master | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where the listeners are, in the order proxy, pages over HTTP, pages over HTTPS (twice with IPv6)."""
        return [(address[0], address[1]) for instance in self._instances for address in instance.listen_addrs]

    async def start(self) -> CertificateAuthority:
        """Open every listener, or none; raises ProxyFault or CaFault."""
        refuse_key_log()
        authority = ensure_ca(self._parts.ca_folder, at=self._parts.clock())
        await self._start_mitmproxy()
        self._watch = Watch()
        self._look_after(0)
        self._watching = [asyncio.create_task(watched.run()) for watched in (self._tunnels, self.exchanges)]
        try:
            for n, (host, port, leading) in enumerate(listeners(self._settings)):
                await self._listen(host, port, authority, leading, welcoming=n == 0)
            if listener := self._settings.listen.proxy_tls:
                await self._listen_with_tls(listener)
        except OperatorFault:
            await self.stop()
            raise
        # What is loaded stays; looking through it again and again for garbage took a tenth of a tunnel's time.
        gc.freeze()
        return authority

    async def drain(self, hurry: asyncio.Event) -> None:
        """Take no more connections, and wait for those that run to end: for the limit, or until ``hurry`` is set."""
        await self._close_listeners()
        limit = self._settings.proxy_limits.drain.total_seconds()
        if running := len(self._callers) + len(self._tunnels):
            logger.warning("waiting %.0f s for %d connections to end: a second signal ends them now", limit, running)
        waiting = [asyncio.create_task(self._ended()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(waiting, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def _ended(self) -> None:
        """Wait for all connections; those that are only kept for a next request are not waited for."""
        while self._callers or len(self._tunnels):
            for caller in list(self._callers):
                if caller.is_idle and caller.is_idle():
                    caller.abort()
            await asyncio.sleep(_LOOK)

    async def _close_listeners(self) -> None:
        for instance in self._instances:
            if instance.is_running:
                await instance.stop()
        if self._front:
            self._front.close()

    async def stop(self) -> None:
        """Close the listeners, let connections end for a moment, then end them."""
        await self._close_listeners()
        for task in self._watching:
            task.cancel()
        await self._end_all()
        if self._front:
            await self._front.stop()
        if self._chore:
            self._chore.cancel()
        if self._watch:
            self._watch.close()
        self._watch = None
        if self._master and self._running:
            self._master.shutdown()
            await self._running
        self._instances, self._master, self._running = [], None, None

    async def _end_all(self) -> None:
        """Spliced tunnels are ended at once: nobody but the client can tell when one is done."""
        for tunnel in self._tunnels:
            tunnel.close()
        await self._wait_for_callers()
        for caller in list(self._callers):
            caller.abort()
        await self._wait_for_callers()
        await asyncio.sleep(0)  # closed transports say good-bye in the next round

    def _look_after(self, seconds: int) -> None:
        """Once a second, end what has lasted too long."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        before = now - self._settings.proxy_limits.opening.total_seconds()
        for caller in list(self._callers):
            caller.expire(now)
            if caller.is_late and caller.is_late(before):
                self._metrics.proxy_limited.labels("opening").inc()
                caller.abort()
        if seconds % INTERVAL == 0:
            for tunnel in self._tunnels:
                tunnel.look()
        self._chore = loop.call_later(1, self._look_after, seconds + 1)

    async def _wait_for_callers(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                await asyncio.gather(*(caller.gone() for caller in self._callers))

    async def _start_mitmproxy(self) -> None:
        # at INFO it names every client and host it meets; that belongs into events only, and only for what concerns AI
        logging.getLogger("mitmproxy").setLevel(logging.ERROR)
        ready = _Ready()
        master = Master(Options())
        self._manager = proxyserver.Proxyserver()
        # ours before the two whose choices they override
        hooks = self._parts.hooks(exchanges=Exchanges(self._parts.teller, self.exchanges))
        strictness = self._parts.strictness  # after who chooses layers
        master.addons.add(self._manager, *hooks, next_layer.NextLayer(), strictness, tlsconfig.TlsConfig(), ready)
        # our listeners are not mitmproxy's to start: it would only log that one failed
        master.options.update(**mitmproxy_options(self._settings, self._parts.ca_folder), mode=[])
        self._master, self._running = master, asyncio.create_task(master.run())
        async with asyncio.timeout(_STARTING):
            await ready.event.wait()

    async def _listen_with_tls(self, listener: TlsListener) -> None:
        """The proxy's port once more, with TLS before the same gate."""
        front = TlsFront(listener, self._instances[0].begin_inside, reuse_port=self._reuse_port)
        try:
            await front.start()
        except OSError as error:
            raise ProxyFault(why_not(error, str(listener.address), listener.port)) from error
        self._front = front
        host, port = front.address
        self._origins.protect([(ip_address(host), port)])

    @property
    def tls_port(self) -> int:
        """Where the proxy listens over TLS; nought: nowhere."""
        return self._front.address[1] if self._front else 0

    async def _listen(
        self, host: str, port: int, authority: CertificateAuthority, leading: Leading | None, *, welcoming: bool
    ) -> None:
        instance = GuardInstance.on((host, port), self._manager)
        assert self._watch  # noqa: S101 - narrows the type; it is opened before
        instance.callers, instance.watch, instance.caps = self._callers, self._watch, self._caps
        instance.reuse_port, instance.leading = self._reuse_port, leading
        instance.signing_in, instance.is_proxy = self._parts.sign_in, welcoming
        gate = Gate(
            self._parts.teller, self._origins, instance.hand_over, self._watch, self._tunnels,
            self._caps.opened, self._settings.proxy_limits.opening.total_seconds(), self._settings.trusted_parents,
            self._parts.pinned, self._parts.authentication, quick=self._parts.quick,
        )  # fmt: skip
        instance.attend = gate.attend
        try:
            await instance.start()
        except OSError as error:
            raise ProxyFault(why_not(error, host, port)) from error
        if welcoming:
            certificate = authority.certificate.encode()
            instance.attend = replace(gate, port=instance.listen_addrs[0][1], certificate=certificate).attend
        self._instances.append(instance)
        self._origins.protect((ip_address(at[0]), at[1]) for at in instance.listen_addrs)


def standalone_addons(parts: Parts) -> list[object]:
    """The hooks for a mitmproxy that somebody else runs, in its own modes; raises ProxyFault or CaFault."""
    refuse_key_log()
    ensure_ca(parts.ca_folder, at=parts.clock())
    return parts.hooks(mitmproxy_options(parts.settings, parts.ca_folder))


class _Ready:
    """An addon that knows when mitmproxy runs."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def running(self) -> None:
        self.event.set()


def refuse_key_log() -> None:
    """Refuse to run where the keys of every connection would be written to a file; raises ProxyFault."""
    if os.environ.get("SSLKEYLOGFILE") or os.environ.get("MITMPROXY_SSLKEYLOGFILE"):
        raise ProxyFault("`SSLKEYLOGFILE` is set: it would write the keys of all traffic to a file; unset it")
