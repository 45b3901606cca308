"""A web server on loopback that writes down who came: the rest of the internet, for tests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

import h2.config
import h2.connection
import h2.events
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.builders import NOON

BIG = 10 * 1024 * 1024


@dataclass
class Seen:
    """One request as the origin got it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    connection: int
    """The how-manieth connection it came on, from 1."""
    version: str

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


class OriginCA:
    """The authority that the origins' certificates are from; written to ``path`` as PEM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "origin-ca.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign("Origin test CA", self._key.public_key(), None)
        self.path.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def context(self, *names: str, alpn: tuple[str, ...] = ("h2", "http/1.1")) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(names[0], key.public_key(), names)
        path = self.folder / f"{names[0]}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        made.load_cert_chain(path)
        if alpn:
            made.set_alpn_protocols(list(alpn))
        return made

    def _sign(self, common: str, public: ec.EllipticCurvePublicKey, names: tuple[str, ...] | None) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        issuer = subject if names is None else self._certificate.subject
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOON - timedelta(days=400)).not_valid_after(NOON + timedelta(days=4000))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )  # fmt: skip
        if names:
            alternatives: list[x509.GeneralName] = [
                x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names
            ]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self._key, hashes.SHA256())


@dataclass
class Origin:
    """Answers any request with what its path asks for."""

    address: str = "127.0.0.1"
    context: ssl.SSLContext | None = None
    close_after_response: bool = False
    port: int = 0
    connections: int = 0
    requests: list[Seen] = field(default_factory=list)
    proceed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to let ``/events`` send its second event."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Origin]:
        server = await asyncio.start_server(self._accept, self.address, port, ssl=self.context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            tls = writer.get_extra_info("ssl_object")
            if tls and tls.selected_alpn_protocol() == "h2":
                await self._serve_h2(reader, writer, number)
            else:
                await self._serve_h1(reader, writer, number)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve_h1(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *fields = head.rstrip("\r\n").split("\r\n")
            method, path, _ = line.split(" ", 2)
            headers = [(k.strip(), v.strip()) for k, _, v in (f.partition(":") for f in fields)]
            lower = {k.lower(): v for k, v in headers}
            body = b""
            if lower.get("transfer-encoding") == "chunked":
                while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readuntil(b"\r\n")
            elif length := int(lower.get("content-length", "0")):
                body = await reader.readexactly(length)
            self.requests.append(Seen(method, path, headers, body, number, "1.1"))
            if path.startswith("/events"):
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                writer.write(b"d\r\ndata: first\n\n\r\n")
                await writer.drain()
                await self.proceed.wait()
                writer.write(b"e\r\ndata: second\n\n\r\n0\r\n\r\n")
                continue
            status, extra, content = answer(path)
            close = "Connection: close\r\n" if self.close_after_response else ""
            fields_ = "".join(f"{k}: {v}\r\n" for k, v in extra)
            writer.write(
                f"HTTP/1.1 {status} OK\r\nContent-Length: {len(content)}\r\n{close}{fields_}\r\n".encode() + content
            )
            await writer.drain()
            if self.close_after_response:
                return

    async def _serve_h2(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        heads: dict[int, list[tuple[str, str]]] = {}
        bodies: dict[int, bytes] = {}
        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    heads[event.stream_id] = [(str(k), str(v)) for k, v in event.headers]
                    bodies[event.stream_id] = b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    headers, stream = heads[event.stream_id], event.stream_id
                    pseudo = dict(headers)
                    self.requests.append(Seen(pseudo[":method"], pseudo[":path"], headers, bodies[stream], number, "2"))
                    status, extra, content = answer(pseudo[":path"])
                    connection.send_headers(stream, [(":status", str(status)), *extra])
                    connection.send_data(stream, content, end_stream=True)
            writer.write(connection.data_to_send())
            await writer.drain()


def answer(path: str) -> tuple[int, list[tuple[str, str]], bytes]:
    if path.startswith("/big"):
        return 200, [("content-type", "application/octet-stream")], bytes(BIG)
    return 200, [("content-type", "text/plain"), ("alt-svc", 'h3=":443"')], b"origin speaking"
