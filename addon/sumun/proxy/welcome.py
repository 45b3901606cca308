"""What a client can fetch from the proxy itself: how to use it, and whom to trust. Pure.

Only requests in origin form are looked at (RFC 9112, 3.2.1): what is meant for a proxy comes in absolute form.
"""

from __future__ import annotations

import re

from sumun.proxy.destination import Destination

_REQUEST = re.compile(rb"(GET|HEAD) (/[!-~]{0,200}) HTTP/1\.[01]\r\n")
_PAC = ("/proxy.pac", "/wpad.dat")
_CA = ("/sumun-ca.pem", "/sumun-ca.crt")


def answer(head: bytes, here: Destination, certificate: bytes) -> bytes | None:
    """The whole response; None: this asks for something else. ``here`` is where the client has reached us."""
    match = _REQUEST.match(head)
    if match is None:
        return None
    path = match[2].partition(b"?")[0].decode()
    if path in _PAC:
        return _response("application/x-ns-proxy-autoconfig", pac(here), with_body=match[1] == b"GET")
    if path in _CA:
        return _response("application/x-x509-ca-cert", certificate, with_body=match[1] == b"GET")
    return None


def pac(here: Destination) -> bytes:
    """The configuration that sends everything but plain host names here, without a way round."""
    return (
        "function FindProxyForURL(url, host) {\n"
        '  if (isPlainHostName(host) || host === "localhost") return "DIRECT";\n'
        f'  return "PROXY {here}";\n'
        "}\n"
    ).encode()


def _response(type_: str, body: bytes, *, with_body: bool) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {type_}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (body if with_body else b"")
