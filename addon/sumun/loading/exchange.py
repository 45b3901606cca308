"""One HTTP/1.1 exchange on one connection (h11 does the parsing), with every part of it bounded."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

import h11

import sumun
from sumun.loading.outcome import NotTaken, Outcome
from sumun.model.name import IPAddress

_MAX_HEAD = 32_768
_READ = 65_536
_ACCEPTED = [
    ("User-Agent", f"sumun/{sumun.__version__}"),
    ("Accept", "text/plain, */*;q=0.1"),
    ("Accept-Encoding", "gzip"),
    ("Connection", "close"),
]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a URL points."""

    host: str
    port: int
    path: str
    plain: bool
    """Without TLS."""

    @classmethod
    def of(cls, url: str) -> Target:
        """Take apart a URL that ``config.values`` has read."""
        parts = urlsplit(url)
        plain = parts.scheme == "http"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname or "", parts.port or (80 if plain else 443), path, plain)

    @property
    def authority(self) -> str:
        """Host and port, as CONNECT and Host take them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (80 if self.plain else 443) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end."""

    status: int
    fields: dict[str, str]
    octets: bytes = b""

    def field(self, name: str) -> str:
        """Value of a header field, bounded, since it is stored and sent back; empty where there is none."""
        value = self.fields.get(name, "")
        return value if len(value) <= 1000 and value.isascii() and value.isprintable() else ""


class Exchange:
    """A connection; every method raises NotTaken for what the other side does wrong."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)

    @classmethod
    async def open(cls, address: IPAddress, target: Target, tls: ssl.SSLContext | None) -> Self:
        """Connect; raises OSError."""
        name = target.host if tls else None
        return cls(*await asyncio.open_connection(str(address), target.port, ssl=tls, server_hostname=name))

    async def close(self) -> None:
        """Close without waiting for a server that does not."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    async def tunnel(self, target: Target, proxy: SplitResult, tls: ssl.SSLContext) -> None:
        """Ask an HTTP proxy for a connection to the target, and speak TLS through it."""
        authority = f"[{target.host}]" if ":" in target.host else target.host
        await self._send("CONNECT", f"{authority}:{target.port}", [("Host", f"{authority}:{target.port}"), *_as(proxy)])
        status = (await self._head()).status
        if status != 200:
            raise NotTaken(Outcome.UNREACHABLE, f"proxy `{proxy.hostname}` answered {status} to CONNECT")
        try:
            await self._writer.start_tls(tls, server_hostname=target.host)
        except OSError as why:
            raise NotTaken(Outcome.UNREACHABLE, f"TLS with `{target.host}` through the proxy: {why}") from why
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)

    async def get(
        self,
        target: Target,
        conditions: Sequence[tuple[str, str]],
        limit: int,
        progress: Callable[[int, int | None], object],
    ) -> Answer:
        """The response to one GET; its body has ``limit`` octets at most."""
        await self._send("GET", target.path, [("Host", target.authority), *_ACCEPTED, *conditions])
        head = await self._head()
        if head.status != 200:
            return head
        length = head.fields.get("content-length", "")
        total = int(length[:20]) if length else None
        if total is not None and total > limit:
            raise NotTaken(Outcome.TOO_LARGE, f"{total:,} octets announced, {limit:,} are the most")
        body = bytearray()
        while isinstance(event := await self._event(Outcome.TRUNCATED), h11.Data):
            body += event.data
            if len(body) > limit:
                raise NotTaken(Outcome.TOO_LARGE, f"more than {limit:,} octets")
            progress(len(body), total)
        return Answer(head.status, head.fields, bytes(body))

    async def _send(self, method: str, path: str, headers: list[tuple[str, str]]) -> None:
        try:
            octets = self._http.send(h11.Request(method=method, target=path, headers=headers)) or b""
            self._writer.write(octets + (self._http.send(h11.EndOfMessage()) or b""))
            await self._writer.drain()
        except (OSError, h11.LocalProtocolError, UnicodeError) as why:
            raise NotTaken(Outcome.UNREACHABLE, f"the request could not be sent: {why}") from why

    async def _head(self) -> Answer:
        while isinstance(event := await self._event(Outcome.UNREACHABLE), h11.InformationalResponse):
            pass
        if not isinstance(event, h11.Response):
            raise NotTaken(Outcome.UNREACHABLE, "the server closed the connection without an answer")
        return Answer(event.status_code, {name.decode(): value.decode("latin-1") for name, value in event.headers})

    async def _event(self, broken: Outcome) -> object:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_READ))
        except h11.RemoteProtocolError as why:
            raise NotTaken(broken, f"the answer is broken off or no HTTP: {why}") from None
        except OSError as why:
            raise NotTaken(broken, f"the connection broke: {why}") from None
        return event


def _as(proxy: SplitResult) -> list[tuple[str, str]]:
    """Credentials for a proxy whose URL has some (RFC 7617)."""
    if proxy.username is None:
        return []
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return [("Proxy-Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")]
