"""The guard proxy on loopback with fakes behind its ports, and a real curl in front of it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from sumun.config.settings import Listen, Listener, PagesListener, Settings
from sumun.model.event import AccessDecided
from sumun.model.name import DomainName, IPAddress
from sumun.model.organisation import Organisation
from sumun.model.text import Text
from sumun.pages.render import render
from sumun.policy.engine import Policy
from sumun.proxy.parts import Parts
from sumun.proxy.server import Proxy
from sumun.telemetry.metrics import Metrics
from sumun.upstream.errors import UpstreamError
from tests.support.builders import NOON
from tests.support.recording import RecordingEvents

_MARK = "\n@@sumun@@"
LOOPBACK = IPv4Address("127.0.0.1")


class AwaitedEvents(RecordingEvents):
    """Lets a test wait for the next event."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: asyncio.Queue[AccessDecided] = asyncio.Queue()

    async def next(self) -> AccessDecided:
        """The next event that was not taken yet."""
        return await self._queue.get()

    def record(self, event: AccessDecided) -> str:
        self._queue.put_nowait(event)
        return super().record(event)


class FakeResolver:
    """Answers out of a dict, and writes down what was asked."""

    def __init__(self, names: Mapping[str, str | tuple[str, ...]]) -> None:
        self.names = dict(names)
        self.asked: list[str] = []

    async def addresses(self, name: DomainName) -> tuple[IPAddress, ...]:
        self.asked.append(name.text)
        found = self.names.get(name.text)
        if found is None:
            raise UpstreamError("no such name")
        return tuple(ip_address(a) for a in ((found,) if isinstance(found, str) else found))


@dataclass
class Answer:
    """What curl got."""

    code: int
    """curl's exit code; 0: the transfer succeeded."""
    status: int
    version: str
    connect_status: int
    connections: int
    headers: dict[str, str]
    body: bytes
    complaint: str

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Filter:
    """A running proxy with everything a test wants to look at."""

    proxy: Proxy
    events: AwaitedEvents
    metrics: Metrics
    registry: CollectorRegistry
    resolver: FakeResolver
    ca: Path
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return self.proxy.addresses[0][1]

    @property
    def tls_port(self) -> int:
        """Of the proxy over TLS."""
        return self.proxy.tls_port

    @property
    def http_port(self) -> int:
        return self.proxy.addresses[1][1]

    @property
    def https_port(self) -> int:
        return self.proxy.addresses[2][1]

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"sumun_{name}", labels) or 0

    async def curl(
        self, *arguments: str, client: str = "127.0.0.1", proxied: bool = True, stdin: bytes = b""
    ) -> Answer:
        return (await self.curl_each(*arguments, client=client, proxied=proxied, stdin=stdin))[-1]

    async def curl_each(
        self, *arguments: str, client: str = "127.0.0.1", proxied: bool = True, stdin: bytes = b""
    ) -> list[Answer]:
        via = ["--proxy", f"http://127.0.0.1:{self.port}"] if proxied else ["--noproxy", "*"]
        return await curl_each("--interface", client, *via, "--cacert", str(self.ca), *arguments, stdin=stdin)


async def curl(*arguments: str) -> Answer:
    """One transfer (of several URLs: the last one; see ``curl_each``)."""
    return (await curl_each(*arguments))[-1]


async def curl_each(*arguments: str, stdin: bytes = b"") -> list[Answer]:
    """Transfers over as few connections as curl sees fit, one after the other."""
    wanted = (
        '{"status":"%{http_code}","version":"%{http_version}","connect":"%{http_connect}",'
        '"connections":"%{num_connects}","headers":%{header_json}}'
    )
    process = await asyncio.create_subprocess_exec(
        "curl", "-q", "-sS", "-m", "20", "-w", f"{_MARK}{wanted}", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    out, err = await process.communicate(stdin)
    body, *rest = out.split(_MARK.encode())
    answers = []
    for piece in rest:
        told, end = json.JSONDecoder().raw_decode(piece.decode("latin-1"))
        headers = {name.lower(): values[0] for name, values in told["headers"].items()}
        answers.append(
            Answer(
                process.returncode or 0, int(told["status"]), told["version"], int(told["connect"]),
                int(told["connections"]), headers, body, err.decode(),
            )
        )  # fmt: skip
        body = piece[end:]
    return answers


def hello(server_name: str | None, *alpn: str) -> bytes:
    """A ClientHello as OpenSSL makes it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with suppress(ssl.SSLWantReadError):
        connection.do_handshake()
    return outgoing.read()


async def say(port: int, *pieces: bytes, client: str = "127.0.0.1", finish: bool = False) -> bytes:
    """Send the pieces one by one to 127.0.0.1 and return all that comes back until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(client, 0))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if finish:
            writer.write_eof()
        async with asyncio.timeout(60):
            return await reader.read()
    finally:
        writer.close()


def loopback_settings(folder: Path, upstream_ca: Path | None = None, **more: Any) -> Settings:
    listener = Listener(LOOPBACK, 0)
    pages = PagesListener(LOOPBACK, None, 0, 0)
    return Settings(
        listen=Listen(dns=listener, proxy=listener, pages=pages, console=listener),
        upstreams=(),
        state=folder,
        upstream_ca=upstream_ca,
        internal_destinations=more.pop("internal_destinations", (ip_network("127.0.0.0/8"),)),
        **more,
    )


@asynccontextmanager
async def filtering(
    folder: Path,
    policy: Policy | Callable[[], Policy],
    names: Mapping[str, str | tuple[str, ...]] | None = None,
    *,
    upstream_ca: Path | None = None,
    clock: Callable[[], datetime] = lambda: NOON,
    settings: Settings | None = None,
    **parts: Any,
) -> AsyncIterator[Filter]:
    registry = CollectorRegistry()
    metrics, events, resolver = Metrics(registry), AwaitedEvents(), FakeResolver(names or {})
    made = Parts(
        settings=settings or loopback_settings(folder, upstream_ca),
        policy=policy if callable(policy) else lambda: policy,
        organisation=lambda: Organisation(Text.of("Example Ministry"), "it@example.test"),
        events=parts.pop("events", events),
        metrics=metrics,
        resolver=parts.pop("resolver", resolver),
        pages=parts.pop("pages", render),
        ca_folder=folder / "ca",
        clock=clock,
        **parts,
    )
    proxy = Proxy(made)
    await proxy.start()
    try:
        yield Filter(proxy, events, metrics, registry, resolver, folder / "ca" / "mitmproxy-ca-cert.pem")
    finally:
        await proxy.stop()
