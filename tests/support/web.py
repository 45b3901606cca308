"""A web site that programs use, as a process: a git repository, a package index, a model's API and a WebSocket.

    python -m tests.support.web FOLDER ADDRESS PORT CERTIFICATE

Serves the folder over TLS, says ``ready``, and at the end of its standard input prints as JSON the hosts that it was
asked for. ``/repo.git`` is git's own server; what is below ``/TAG/v1`` streams two words, the second one only after
``/TAG/proceed`` was asked for.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

WELCOME = "welcome"
"""What the WebSocket says unasked; after that it repeats every message."""
LONG = 60
"""Seconds that the second word waits for a client to have the first."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hosts: list[str]
    has_first: defaultdict[str, threading.Event]

    def parse_request(self) -> bool:
        parsed = super().parse_request()
        if parsed:
            self.hosts.append(self.headers.get("host", ""))
        return parsed

    def do_GET(self) -> None:
        if self.headers.get("upgrade", "").lower() == "websocket":
            self._converse()
        elif self.path.startswith("/repo.git/"):
            self._git()
        elif self.path.endswith("/proceed"):
            self.has_first[self.path.split("/")[1]].set()
            self._say("200 OK", b"")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        if self.path.startswith("/repo.git/"):
            self._git()
        else:
            self._stream()

    def _say(self, status: str, body: bytes, fields: str = "") -> None:
        self.wfile.write(f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline().strip(), 16):
            body += self.rfile.read(size + 2)[:-2]
        self.rfile.readline()
        return body

    def _git(self) -> None:
        """RFC 3875, as ``git http-backend`` speaks it."""
        path, _, query = self.path.partition("?")
        body = self._body()
        given = {
            "GIT_PROJECT_ROOT": self.directory, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
            "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)), "HTTP_CONTENT_ENCODING": self.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""), "PATH": os.environ["PATH"], "REMOTE_ADDR": "client",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=given, capture_output=True, check=True)
        head, _, said = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = fields.pop("Status", "200 OK")
        self._say(status, said, "".join(f"{name}: {value}\r\n" for name, value in fields.items()))

    def _stream(self) -> None:
        self._body()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._chunk(_word("first"))
        if not self.has_first[self.path.split("/")[1]].wait(LONG):
            self.close_connection = True  # it was kept back: the stream breaks off
            return
        self._chunk(_word("second"))
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _converse(self) -> None:
        self.close_connection = True
        protocol = ServerProtocol(extensions=[ServerPerMessageDeflateFactory()])
        fields = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        protocol.receive_data(f"{self.requestline}\r\n{fields}\r\n".encode())
        (request,) = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        protocol.send_text(WELCOME.encode())
        while True:
            for piece in protocol.data_to_send():
                if not piece:
                    return
                self.wfile.write(piece)
            if not (data := self.connection.recv(65536)):
                return
            protocol.receive_data(data)
            for frame in protocol.events_received():
                _repeat(protocol, frame)

    def log_message(self, *_: object) -> None:
        pass


def _repeat(protocol: ServerProtocol, frame: object) -> None:
    assert isinstance(frame, Frame)
    if frame.opcode is Opcode.TEXT:
        protocol.send_text(frame.data, frame.fin)
    elif frame.opcode is Opcode.BINARY:
        protocol.send_binary(frame.data, frame.fin)
    elif frame.opcode is Opcode.CONT:
        protocol.send_continuation(frame.data, frame.fin)


def _word(word: str) -> bytes:
    choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
    delta = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(delta)}\n\n".encode()


def main(folder: str, address: str, port: int, certificate: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    _Handler.hosts, _Handler.has_first = [], defaultdict(threading.Event)
    with http.server.ThreadingHTTPServer((address, port), functools.partial(_Handler, directory=folder)) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("ready", flush=True)
        sys.stdin.read()
        server.shutdown()
        print(json.dumps(_Handler.hosts))
        sys.stdout.flush()
        os._exit(0)  # whoever is still served


@dataclass
class Web:
    """A started one."""

    process: subprocess.Popen[str]
    _hosts: list[str] = field(default_factory=list)

    def end(self) -> list[str]:
        """Stop it; the hosts that it was asked for."""
        if self.process.poll() is None:
            said, _ = self.process.communicate(timeout=30)
            self._hosts = json.loads(said.splitlines()[-1])
        return self._hosts


@contextmanager
def web(folder: Path, address: str, port: int, certificate: Path, prefix: Sequence[str] = ()) -> Iterator[Web]:
    """Start one, in the namespace that ``prefix`` leads to."""
    command = [*prefix, sys.executable, "-m", "tests.support.web", str(folder), address, str(port), str(certificate)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout
        assert process.stdout.readline().strip() == "ready"
        yield Web(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
