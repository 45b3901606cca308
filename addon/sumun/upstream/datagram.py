"""One question over UDP."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable

from sumun.upstream.message import answers_question, in_mixed_case

_MAX_MISMATCHES = 100
"""Datagrams that are not the answer, after which somebody is guessing: the exchange is given up."""


async def ask_datagram(
    host: str, port: int, query: bytes, *, mixed_case: bool = False, mismatched: Callable[[], object] = lambda: None
) -> bytes:
    """Ask with a random id from a random port, and take the first datagram that answers the question.

    ``mixed_case``: in a random spelling, which the answer must repeat. ``mismatched`` is called for each datagram
    that is not the answer.

    The socket is new and connected, so the kernel picks the port and takes datagrams of this server only (RFC 5452,
    section 9). Raises OSError; waits for as long as the caller lets it.
    """
    query = secrets.token_bytes(2) + query[2:]
    if mixed_case:
        query = in_mixed_case(query, secrets.randbits(256 * 8))
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((host, port))
        await loop.sock_sendall(sock, query)
        for _ in range(_MAX_MISMATCHES):
            reply = await loop.sock_recv(sock, 65535)
            if answers_question(reply, query, as_spelled=mixed_case):
                return reply
            mismatched()
    raise OSError("answers that do not match the question")
