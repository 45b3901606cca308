"""HTTP/1.1 as clients speak it, and as they should not."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.sinkhole.https.http1 import Http1, Request

GET = b"GET /q HTTP/1.1\r\nHost: dns.example\r\n\r\n"
POST = b"POST /q HTTP/1.1\r\nHost: dns.example\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = POST.replace(b"Content-Length: 4", b"Transfer-Encoding: chunked")[:-4]


@dataclass
class Carried:
    """A server, what it said and what it was asked."""

    out: bytearray = field(default_factory=bytearray)
    asked: list[Request] = field(default_factory=list)
    closed: bool = False
    heard_out: bool = False

    def __post_init__(self) -> None:
        self.it = Http1(self, self.asked.append, max_body=4096, refusal=lambda _: [])

    def send(self, octets: bytes) -> bool:
        self.out += octets
        return not self.closed

    def close(self, *, hear_out: bool = False) -> None:
        self.closed, self.heard_out = True, hear_out

    def statuses(self) -> list[int]:
        return [int(part[:3]) for part in bytes(self.out).split(b"HTTP/1.1 ")[1:]]


def test_one_request_after_another() -> None:
    server = Carried()
    server.it.received(GET + POST)
    assert len(server.asked) == 1
    server.it.respond(200, [(b"x", b"y")], b"yes")
    assert (len(server.asked), server.asked[1].body) == (2, b"body")
    server.it.respond(404, [])
    assert server.statuses() == [200, 404]
    assert b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 3\r\n\r\nyes" in server.out
    assert not server.closed


def test_an_octet_at_a_time() -> None:
    server = Carried()
    for octet in POST:
        server.it.received(bytes((octet,)))
    assert server.asked[0].body == b"body"


def test_chunks_are_put_together() -> None:
    server = Carried()
    server.it.received(
        POST.replace(b"Content-Length: 4", b"Transfer-Encoding: chunked")[:-4] + b"2\r\nbo\r\n2\r\ndy\r\n"
    )
    server.it.received(b"0\r\n\r\n")
    assert server.asked[0].body == b"body"


def test_a_client_that_wants_to_end_is_let() -> None:
    server = Carried()
    server.it.received(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    server.it.respond(200, [], b"yes")
    assert server.closed
    assert not server.heard_out


def test_who_waits_for_leave_gets_it() -> None:
    server = Carried()
    server.it.received(POST.replace(b"\r\n\r\nbody", b"\r\nExpect: 100-continue\r\n\r\n"))
    assert server.statuses() == [100]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(POST.replace(b": 4", b": 10000000"), 413, id="a length that is too much"),
        pytest.param(CHUNKED + b"2000\r\n" + bytes(0x2000), 413, id="too much without a length"),
        pytest.param(b"GET /q HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET /q HTTP/1.1\r\nHost: a\r\n" + b"x: y\r\n" * 5000, 431, id="a flood of fields"),
        pytest.param(b"GET /" + b"q" * 20_000, 431, id="a path without end"),
        pytest.param(b"\x16\x03\x01\x00\xc8\x01\r\n\r\n", 400, id="TLS in TLS"),
        pytest.param(
            b"GET /q HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, id="lengths"
        ),
        pytest.param(b"GET /q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501, id="coding"),
    ],
)
def test_what_cannot_be_read_is_answered_and_ends(sent: bytes, status: int) -> None:
    server = Carried()
    server.it.received(sent)
    assert server.statuses() == [status]
    assert b"connection: close" in server.out
    assert server.closed
    assert not server.asked
    server.it.received(GET)
    assert not server.asked


@given(
    st.lists(st.sampled_from([GET, POST, b"\r\n", b"\0", b"GET", b" HTTP/1.1", b"0\r\n\r\n", b"\xff" * 9]), max_size=9)
)
def test_whatever_comes_is_borne(parts: list[bytes]) -> None:
    server = Carried()
    for part in parts:
        server.it.received(part)
        if server.asked and len(server.statuses()) < len(server.asked) and not server.closed:
            server.it.respond(200, [], b"yes")
