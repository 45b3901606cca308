"""The way through another proxy: a tunnel of ours, and what mitmproxy is told for its own connections.

The next proxy resolves names, so what a name leads to is for it to vet; an address literal is vetted here all the same.
"""

from __future__ import annotations

import asyncio
import re
import socket
from base64 import b64encode
from ipaddress import IPv4Address
from pathlib import Path

from mitmproxy import http

from sumun.model.name import IPAddress
from sumun.model.next_proxy import NextProxy, TellClient
from sumun.proxy.destination import Destination
from sumun.proxy.origin import DIAL_TIME, DIALS, Origins, Unreachable

_HEAD = 16 * 1024
"""Octets of its answer that are read for its end."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")


class OfNextProxy(str):
    """The host of the next proxy, where mitmproxy is to dial it: no client's text is ever one of these."""

    __slots__ = ("how",)
    how: NextProxy

    @classmethod
    def of(cls, how: NextProxy) -> OfNextProxy:
        """Mark it."""
        made = cls(str(how.host))
        made.how = how
        return made


async def through(
    origins: Origins, how: NextProxy, destination: Destination, client: IPAddress
) -> tuple[socket.socket, bytes]:
    """A tunnel to the destination, and what came out of it already; needs a task; raises Unreachable."""
    addresses = await origins.addresses_of_proxy(how.host)
    sock = await _dialled(addresses, how.port)
    try:
        async with asyncio.timeout(how.timeout):
            return sock, await _open(sock, how, destination, client)
    except (OSError, TimeoutError) as error:
        sock.close()
        raise Unreachable(f"the next proxy fails: {_why(error)}") from None
    except BaseException:
        sock.close()
        raise


async def _dialled(addresses: tuple[IPAddress, ...], port: int) -> socket.socket:
    """Connect to the first of its addresses that answers: there are one or two, and they are the organisation's."""
    trouble = "no address"
    for address in addresses[:DIALS]:
        sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(DIAL_TIME):
                await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
        except (OSError, TimeoutError) as error:
            sock.close()
            trouble = _why(error)
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise Unreachable(f"the next proxy cannot be reached: {trouble}")


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return (error.strerror if isinstance(error, OSError) and error.strerror else str(error)).lower()


async def _open(sock: socket.socket, how: NextProxy, destination: Destination, client: IPAddress) -> bytes:
    loop = asyncio.get_running_loop()
    first = proxy_line(how, client, sock.getsockname()[1], sock.getpeername())
    await loop.sock_sendall(sock, first + _connect(how, destination, client))
    said = b""
    while (end := said.find(b"\r\n\r\n")) < 0:
        piece = await loop.sock_recv(sock, _HEAD)
        said += piece
        if not piece or len(said) > _HEAD:
            raise OSError("it breaks off")
    status = _STATUS.match(said)
    if status is None or not status[1].startswith(b"2"):
        raise OSError(f"it refuses ({status[1].decode() if status else 'in words that are not HTTP'})")
    return said[end + 4 :]


def _connect(how: NextProxy, destination: Destination, client: IPAddress) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in told(how, client))
    return f"CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n{fields}\r\n".encode()


def told(how: NextProxy, client: IPAddress) -> list[tuple[str, str]]:
    """The fields that the next proxy is given; raises Unreachable."""
    fields = []
    if how.credentials:
        fields.append(("Proxy-Authorization", f"Basic {b64encode(_secret(how.credentials)).decode()}"))
    if how.tell_client is TellClient.FORWARDED_FOR:
        fields.append(("X-Forwarded-For", str(client)))
    return fields


def proxy_line(how: NextProxy, client: IPAddress, port: int, there: tuple[str, int]) -> bytes:
    """The header of the PROXY protocol, version 1; empty where it is not wanted (HAProxy, doc/proxy-protocol.txt)."""
    if how.tell_client is not TellClient.PROXY_PROTOCOL:
        return b""
    four = isinstance(client, IPv4Address)
    if four == (":" in there[0]):
        return b"PROXY UNKNOWN\r\n"  # one line has addresses of one family only
    return f"PROXY TCP{4 if four else 6} {client} {there[0]} {port} {there[1]}\r\n".encode()


def lead(flow: http.HTTPFlow, how: NextProxy, client: IPAddress) -> None:
    """Have mitmproxy send this request through the next proxy; raises Unreachable.

    What is to be encrypted goes through a CONNECT; plain HTTP in absolute form, since few proxies tunnel to port 80.
    """
    request, named = flow.request, OfNextProxy.of(how)
    if request.scheme == "https":
        flow.server_conn.via = "http", (named, how.port)
        return
    request.authority = request.host_header or request.pretty_host
    if how.tell_client is TellClient.FORWARDED_FOR:
        request.headers.pop("x-forwarded-for", None)
    for name, value in told(how, client):
        request.headers[name] = value
    # past the properties, which would change the Host field too
    request.data.host, request.data.port = named, how.port


def _secret(path: Path) -> bytes:
    """Read each time: it is one line, and may change."""
    try:
        if path.stat().st_mode & 0o077:
            raise Unreachable(f"`{path}` can be used by others: run `chmod go= {path}`")
        line = path.read_bytes().splitlines()[0].strip()
    except (OSError, IndexError):
        raise Unreachable("the credentials for the next proxy cannot be read") from None
    if b":" not in line:
        raise Unreachable("the credentials for the next proxy are not `user:password`")
    return line
