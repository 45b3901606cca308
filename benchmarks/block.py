"""The peer of our pages: what one writes to block a host with bare mitmproxy (`mitmdump -s block.py`)."""

from mitmproxy import http

BLOCKED = {"chat.deepseek.com"}
PAGE = "<!doctype html><title>Blocked</title><h1>This site is blocked by the rules of this network.</h1>"


def request(flow: http.HTTPFlow) -> None:
    if flow.request.pretty_host in BLOCKED:
        flow.response = http.Response.make(403, PAGE, {"Content-Type": "text/html"})
