"""How a protocol says, in few words, what became of a tunnel. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sumun.proxy.socks import Reply


@dataclass(frozen=True, slots=True)
class Words:
    """The answers of one protocol."""

    established: bytes
    forbidden: Callable[[str], bytes]
    unreachable: Callable[[str], bytes]
    ports: frozenset[int] = frozenset()
    """Ports that it may lead to besides."""


def plain(status: int, phrase: str, why: str, field: str = "") -> bytes:
    """A whole response of HTTP/1.1, after which the connection ends; ``field`` is a further line of its head."""
    body = f"{why}\n".encode("utf-8", "replace")
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{field}Cache-Control: no-store\r\nConnection: close\r\n\r\n".encode("utf-8", "replace") + body


HTTP = Words(
    b"HTTP/1.1 200 Connection established\r\n\r\n",
    lambda why: plain(403, "Forbidden", why),
    lambda why: plain(502, "Bad Gateway", why),
)
SOCKS = Words(
    Reply.SUCCEEDED.octets,
    lambda _: Reply.NOT_ALLOWED.octets,
    lambda _: Reply.UNREACHABLE.octets,
    frozenset({80}),  # it has no other way for plain HTTP
)
