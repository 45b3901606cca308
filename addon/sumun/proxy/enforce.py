"""A decision or a failure -> the response that mitmproxy sends. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from mitmproxy import http
from mitmproxy.net.http.status_codes import RESPONSES

from sumun.model.name import DomainName, IPAddress
from sumun.model.rule import Rule
from sumun.pages.render import Page
from sumun.proxy import messages
from sumun.proxy.translate import Flow

_PORT = re.compile(r":[0-9]+\Z", re.ASCII)


def response(page: Page) -> http.Response:
    """Take a page as it is; nothing else is added but its length."""
    fields = tuple((name.encode(), value.encode()) for name, value in page.headers)
    if page.status != 204:  # RFC 9110, 8.6
        fields += ((b"content-length", b"%d" % len(page.body)),)
    return messages.response(page.status, RESPONSES.get(page.status, "").encode(), fields, page.body)


def bare(flow: Flow, status: int, text: str) -> None:
    """Answer shortly, depending on nothing that could fail, and part: what follows would be as doubtful."""
    fields = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store", "x-should-retry": "false"}
    if not flow.request.is_http2:
        fields["connection"] = "close"  # HTTP/2 has no such field (RFC 9113, 8.2.2)
    flow.response = http.Response.make(status, f"{text}\n".encode(), fields)


def keep_to_tenant(request: http.Request, rule: Rule) -> None:
    """Set the fields that keep a service to the organisation's own workspace; the client's own copies go."""
    for name, _ in rule.tenant:
        request.headers.pop(name, None)
    for name, value in rule.tenant:
        request.headers.add(name, value)


def without_upgrade_to_h2c(request: http.Request) -> None:
    """Stay with HTTP/1.1, which is what is spoken to the origin (RFC 9113, 3.1: the upgrade is optional)."""
    if "h2c" in request.headers.get("upgrade", "").lower():
        for name in ("upgrade", "http2-settings", "connection"):
            request.headers.pop(name, None)


def name_plainly(request: http.Request, host: DomainName | IPAddress) -> None:
    """Write the one host that was judged as everybody reads it, and a target without one (RFC 9112, 3.2.1).

    An origin might read another spelling, such as `0x7f.1`, in a way of its own.
    """
    if not request.is_http2:
        request.authority = ""
    elif request.authority:
        request.authority = _spelt(request.authority, host)
    if "host" in request.headers:
        request.headers["host"] = _spelt(request.headers["host"], host)
    elif not request.is_http2:  # HTTP/1.0, and the host stood in the target
        request.headers.insert(0, "Host", _spelt(f":{request.port}" if request.port != 80 else "", host))


def _spelt(authority: str, host: DomainName | IPAddress) -> str:
    name = f"[{host}]" if isinstance(host, IPv6Address) else str(host)
    port = authority[authority.rindex(":") :] if _PORT.search(authority) else ""
    return name + port
