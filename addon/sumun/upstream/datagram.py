"""One question over UDP."""

from __future__ import annotations

import asyncio
import secrets
import socket

from sumun.upstream.message import answers_question

_MAX_MISMATCHES = 100
"""Datagrams that are not the answer, after which somebody is guessing: the exchange is given up."""


async def ask_datagram(host: str, port: int, query: bytes) -> bytes:
    """Ask with a random id from a random port, and take the first datagram that answers the question.

    The socket is new and connected, so the kernel picks the port and takes datagrams of this server only (RFC 5452,
    section 9). Raises OSError; waits for as long as the caller lets it.
    """
    query = secrets.token_bytes(2) + query[2:]
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((host, port))
        await loop.sock_sendall(sock, query)
        for _ in range(_MAX_MISMATCHES):
            reply = await loop.sock_recv(sock, 65535)
            if answers_question(reply, query):
                return reply
    raise OSError("answers that do not match the question")
