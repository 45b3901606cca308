"""TLS load for a proxy that intercepts: an origin, and a client with N conversations in flight.

  python tls_load.py origin ADDRESS:PORT CERTIFICATE        answers each GET shortly, on connections kept open
  python tls_load.py pages    PROXY TARGET N SECONDS FROM NAME   CONNECT, handshake, GET, a whole 403, close
  python tls_load.py requests PROXY TARGET N SECONDS FROM NAME   GET, a whole 200, on connections kept open

Prints "done failed seconds octets", as tunnel_load does.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 64\r\n\r\n" + b"." * 64


class _Origin(asyncio.Protocol):
    def __init__(self) -> None:
        self._said = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *whole, self._said = (self._said + data).split(b"\r\n\r\n")
        self._transport.write(_ANSWER * len(whole))


async def origin(address: str, certificate: str) -> None:
    host, port = _address(address)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(_Origin, host, port, ssl=context, backlog=512)
    await server.serve_forever()


class Client:
    """Threads that ask one after the other until the time is over."""

    def __init__(self, words: list[str]) -> None:
        self.mode, proxy, self.target, at_once, seconds, self.here, self.name = words
        self.proxy, self.at_once, self.seconds = _address(proxy), int(at_once), float(seconds)
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.request = f"GET / HTTP/1.1\r\nHost: {self.name}\r\nAccept: text/html\r\n\r\n".encode()
        self.expected = b"HTTP/1.1 403" if self.mode == "pages" else b"HTTP/1.1 200"
        self.done = self.failed = self.octets = 0

    def run(self) -> None:
        self.start = time.monotonic()
        threads = [threading.Thread(target=self._converse) for _ in range(self.at_once)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        print(self.done, self.failed, time.monotonic() - self.start, self.octets)

    def _converse(self) -> None:
        while self._goes_on():
            try:
                with self._connected() as connection:
                    self._ask(connection)
                    while self.mode == "requests" and self._goes_on():
                        self._ask(connection)
            except (OSError, ValueError):
                self.failed += 1

    def _goes_on(self) -> bool:
        return time.monotonic() - self.start < self.seconds

    def _connected(self) -> ssl.SSLSocket:
        sock = socket.create_connection(self.proxy, 10, (self.here, 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(f"CONNECT {self.target} HTTP/1.1\r\nHost: {self.target}\r\n\r\n".encode())
        if not sock.recv(4096).startswith(b"HTTP/1.1 200"):
            raise ValueError("no tunnel")
        return self.context.wrap_socket(sock, server_hostname=self.name)

    def _ask(self, connection: ssl.SSLSocket) -> None:
        connection.sendall(self.request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _some(connection)
        head = answer.index(b"\r\n\r\n") + 4
        length = _LENGTH.search(answer)
        if length is None or not answer.startswith(self.expected):
            raise ValueError(answer[:100])
        while len(answer) < head + int(length[1]):
            answer += _some(connection)
        self.done += 1
        self.octets += len(answer)


def _some(connection: ssl.SSLSocket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ValueError("cut short")
    return data


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    if sys.argv[1] == "origin":
        with suppress(KeyboardInterrupt):
            asyncio.run(origin(sys.argv[2], sys.argv[3]))
    else:
        Client(sys.argv[1:]).run()
