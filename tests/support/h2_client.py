"""An HTTP/2 client that sends what it is told, however wrong, through a tunnel of the proxy."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

import h2.config
import h2.connection
import h2.events
import h2.exceptions

type Fields = Sequence[tuple[bytes, bytes]]


def tunnelled(
    port: int, target: str, *, alpn: Sequence[str] = ("h2",), server_name: str | None = None
) -> ssl.SSLSocket:
    """TLS inside a CONNECT; certificates are not looked at."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(list(alpn))
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    try:
        sock.sendall(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        said = sock.recv(4096)
        if not said.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(said)
        return context.wrap_socket(sock, server_hostname=server_name or target.rpartition(":")[0])
    except OSError:
        sock.close()
        raise


def fields(authority: str, path: bytes = b"/", method: bytes = b"GET", *more: tuple[bytes, bytes]) -> Fields:
    """The fields of an ordinary request."""
    pseudo = [(b":method", method), (b":scheme", b"https"), (b":authority", authority.encode()), (b":path", path)]
    return [*pseudo, *more]


class _Client:
    """One connection."""

    def __init__(self, sock: ssl.SSLSocket) -> None:
        config = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, header_encoding=False
        )
        self.sock = sock
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.results: dict[int, int | str] = {}
        self.waiting: set[int] = set()

    def ask(self, head: Fields, body: bytes | None) -> None:
        stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream, head, end_stream=body is None)
        if body is not None:
            self.connection.send_data(stream, body, end_stream=True)
        self.results[stream] = "gone"
        self.waiting.add(stream)

    def listen(self) -> None:
        self.sock.sendall(self.connection.data_to_send())
        while self.waiting and (data := self.sock.recv(65536)):
            for event in self.connection.receive_data(data):
                self._take(event)

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.results[event.stream_id] = int(dict(event.headers)[b":status"])
            case h2.events.StreamEnded():
                self.waiting.discard(event.stream_id)
            case h2.events.StreamReset():
                self.waiting.discard(event.stream_id)
                if self.results[event.stream_id] == "gone":
                    self.results[event.stream_id] = "reset"
            case h2.events.ConnectionTerminated():
                self.waiting.clear()


def exchange(port: int, target: str, *requests: Fields, body: bytes | None = None) -> list[int | str]:
    """Send these requests down one connection and return what became of each: a status, `reset` or `gone`."""
    with tunnelled(port, target) as sock:
        client = _Client(sock)
        for head in requests:
            client.ask(head, body)
        with suppress(OSError, h2.exceptions.ProtocolError):
            client.listen()
    return list(client.results.values())
