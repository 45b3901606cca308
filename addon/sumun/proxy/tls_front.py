"""The proxy's own port over TLS: what a client says to the proxy is encrypted, and its certificate tells whose it is.

TLS ends here; what is inside goes to the gate over a pair of sockets, as if it had come in by itself.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address

from sumun.config.settings import TlsListener
from sumun.model.fault import OperatorFault
from sumun.model.name import IPAddress, plain
from sumun.model.user import BadUserName, Identity, user_name
from sumun.proxy.caller import plain_address

HANDSHAKE = 10.0
"""Seconds a client has for it."""
CONNECTIONS = 4096
"""Clients at one time."""
_AT_ONCE = 64 * 1024

type Begin = Callable[[socket.socket, IPAddress, IPAddress, Identity | None], None]
"""Attends to a connection: from whom, at which address of ours, and who the certificate says it is."""


class TlsFront:
    """One listener."""

    def __init__(self, listener: TlsListener, begin: Begin, *, reuse_port: bool) -> None:
        """Read certificate and key; raises OperatorFault."""
        self._listener, self._begin, self._reuse_port = listener, begin, reuse_port
        self._context = _context(listener)
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        assert self._server  # noqa: S101 - narrows the type; asked after the start
        found = self._server.sockets[0].getsockname()
        return found[0], found[1]

    async def start(self) -> None:
        """Listen; raises OSError."""
        self._server = await asyncio.start_server(
            self._accept, str(self._listener.address), self._listener.port, ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE, reuse_port=self._reuse_port or None,
        )  # fmt: skip

    def close(self) -> None:
        """Listen no more."""
        if self._server:
            self._server.close()

    async def stop(self) -> None:
        """Listen no more, and end what is served."""
        self.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._serving) >= CONNECTIONS:
            writer.close()
            return
        self._serving.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            self._serving.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = plain_address(writer.get_extra_info("peername")[0])
        here = plain(ip_address(writer.get_extra_info("sockname")[0].partition("%")[0]))
        outer, inner = socket.socketpair()
        inner.setblocking(False)
        inside, onward = await asyncio.open_connection(sock=outer)
        certificate = writer.get_extra_info("ssl_object").getpeercert()
        self._begin(inner, client, here, identity(certificate or {}))
        copying = asyncio.create_task(_copy(inside, writer))
        try:
            await _copy(reader, onward)
            await copying
        finally:
            copying.cancel()
            onward.close()
            await asyncio.gather(copying, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One way, until its end; TLS knows no half-closed connection that could be relied on."""
    while data := await reader.read(_AT_ONCE):
        writer.write(data)
        await writer.drain()
    writer.write_eof() if writer.can_write_eof() else writer.close()


def identity(certificate: dict[str, object]) -> Identity | None:
    """Whose certificate this is: the first e-mail address of its subjectAltName, or else its common name."""
    names = certificate.get("subjectAltName", ())
    emails = [value for kind, value in names if kind == "email"] if isinstance(names, tuple) else []
    subject = certificate.get("subject", ())
    common = [
        value for part in (subject if isinstance(subject, tuple) else ()) for key, value in part if key == "commonName"
    ]
    with suppress(BadUserName):
        return Identity(user_name((emails or common)[0])) if emails or common else None
    return None


def _context(listener: TlsListener) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        if listener.key.stat().st_mode & 0o077:
            raise OperatorFault(f"`{listener.key}` can be used by others: run `chmod go= {listener.key}`")
        context.load_cert_chain(listener.certificate, listener.key)
        if listener.client_ca:
            context.load_verify_locations(cafile=listener.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except OSError as error:
        raise OperatorFault(
            f"the proxy's own certificate cannot be used: {(error.strerror or str(error)).lower()}"
        ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context
