"""A decision or a failure -> the response that mitmproxy sends. Pure."""

from __future__ import annotations

from mitmproxy import http
from mitmproxy.net.http.status_codes import RESPONSES

from sumun.model.rule import Rule
from sumun.pages.render import Page


def response(page: Page) -> http.Response:
    """Take a page as it is; nothing else is added but its length."""
    fields = [(name.encode(), value.encode()) for name, value in page.headers]
    if page.status != 204:  # RFC 9110, 8.6
        fields.append((b"content-length", b"%d" % len(page.body)))
    reason = RESPONSES.get(page.status, "").encode()
    # `Response.make` writes the fields three times over: half as long again as all of this
    return http.Response(b"HTTP/1.1", page.status, reason, http.Headers(fields), page.body, None, 0.0, 0.0)


def bare(flow: http.HTTPFlow, status: int, text: str) -> None:
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
