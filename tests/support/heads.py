"""Plain requests as clients write them, well and badly: what is stopped by its head, and what is anybody else's."""

from __future__ import annotations

from collections.abc import Iterator

from sumun.policy.engine import Policy
from tests.support.builders import policy, rule, segment, service

HOST = "chat.deepseek.com"
BLOCK, WARN, JUSTIFY, MODELS, STRANGER = (f"127.0.0.{n}" for n in (1, 2, 3, 4, 9))
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
APIS = {
    "api.openai.com": "/v1/chat/completions",
    "api.anthropic.com": "/v1/messages",
    "generativelanguage.googleapis.com": "/v1beta/models/gemini-pro:generateContent",
    "ollama.com": "/api/chat",
    "ours.openai.azure.com": "/openai/deployments/gpt/chat/completions?api-version=1",
    "bedrock-runtime.us-east-1.amazonaws.com": "/model/m/invoke",
}


def stopping() -> Policy:
    """A network for each action; one whose rule needs to know the model."""
    ai = {"categories": ["*"]}
    return policy(
        segment("block", f"{BLOCK}/32", rules=[rule("no-ai", "block", **ai)]),
        segment("warn", f"{WARN}/32", rules=[rule("think", "warn", **ai)]),
        segment("justify", f"{JUSTIFY}/32", rules=[rule("say-why", "justify", approver="desk", **ai)]),
        segment("models", f"{MODELS}/32", rules=[rule("no-r1", "block", models=("deepseek-*",))]),
        services=[service("deepseek", "deepseek.com"), *(service(f"api-{n}", name) for n, name in enumerate(APIS))],
    )  # fmt: skip


def head(
    method: str = "GET", path: str = "/", *fields: str, host: str = HOST, version: str = "1.1", body: bytes = b""
) -> bytes:
    """A request in absolute form; ``fields`` beside its Host."""
    lines = [f"{method} http://{host}{path} HTTP/{version}", f"Host: {host}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


def origin_form(*fields: str, method: str = "GET", path: str = "/", host: str = HOST, version: str = "1.1") -> bytes:
    return "\r\n".join(
        [f"{method} {path} HTTP/{version}", *([f"Host: {host}"] if host else []), *fields, "", ""]
    ).encode()


def stopped() -> Iterator[bytes]:
    """What the head alone stops, as long as policy stops this host for everybody."""
    for group in (_methods, _liked, _apis, _fetched, _versions, _odd):
        yield from group()


def _methods() -> Iterator[bytes]:
    for method in ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"):
        yield head(method)
        yield origin_form(method=method)
    for method in ("POST", "PUT", "PATCH"):
        yield head(method, "/v1/x", "Content-Length: 0")
        yield head(method, "/v1/x", "Content-Type: application/json", "Content-Length: 2", body=b"{}")
        yield head(method, "/v1/x", body=b"")
    yield head("GET", "/", "Content-Length: 3", body=b"abc")
    yield head("POST", "/v1/files", "Content-Type: image/png", "Content-Length: 1", body=b"x")


def _liked() -> Iterator[bytes]:
    accepts = (
        *(BROWSER, "application/json", "text/plain", "*/*", "image/avif,image/*", "text/css,*/*;q=0.1", ";;,q="),
        *("text/event-stream", "text/html;q=0", "application/json, text/html;q=0.5", "x" * 3000),
    )
    for accept in accepts:
        yield head("GET", "/", f"Accept: {accept}")
        yield head("POST", "/", f"Accept: {accept}", "Content-Length: 0")
    for language in ("ko", "ko-KR,ko;q=0.9,en;q=0.8", "en-GB", "fr", "*", "ko;q=0", "q=1;ko", "", "\u00e9"):
        yield head("GET", "/", f"Accept: {BROWSER}", f"Accept-Language: {language}")
    twice = ("Accept: text/html", "Accept: application/json", "Accept-Language: en", "Accept-Language: ko")
    yield head("GET", "/", *twice)


def _apis() -> Iterator[bytes]:
    json = ("Content-Type: application/json", "Content-Length: 2")
    for name, path in APIS.items():
        for accept in ("application/json", "*/*", BROWSER):
            yield head("POST", path, f"Accept: {accept}", *json, host=name, body=b"{}")
            yield head("GET", path, f"Accept: {accept}", host=name)
        yield head("POST", path, "Content-Type: application/grpc+proto", "Content-Length: 0", host=name)


def _fetched() -> Iterator[bytes]:
    for kind in ("document", "iframe", "empty", "image", "script", "style", "font", "websocket", "video", "odd"):
        yield head("GET", "/a", f"Sec-Fetch-Dest: {kind}", "Accept: */*")
        yield head("GET", "/a", f"Sec-Fetch-Dest: {kind}", "Accept: */*", "Origin: https://app.example")
    preflight = ("Origin: https://app.example", "Access-Control-Request-Method: POST")
    yield head("OPTIONS", "/a", *preflight)
    yield head("OPTIONS", "/a", *preflight, "Access-Control-Request-Headers: authorization, x-a")
    yield head("OPTIONS", "/a", *preflight, "Access-Control-Request-Headers: <script>")
    yield head("GET", "/", "Origin: null")
    yield head("GET", "/", "Origin: https://a.example%0d%0a")
    yield head("GET", "/s", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    yield head("GET", "/", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings")
    yield head("GET", "/", "Upgrade: h2c", "Connection: close, Upgrade")


def _versions() -> Iterator[bytes]:
    for version in ("1.0", "1.1"):
        for option in ("close", "keep-alive", "Close", "Keep-Alive", "keep-alive, close", "x", ""):
            yield head("GET", "/", f"Connection: {option}", version=version)
        yield head("GET", "/", version=version)
        yield origin_form(version=version)
        yield head("GET", "/", "Proxy-Connection: close", version=version)


def _odd() -> Iterator[bytes]:
    yield b"GET http://chat.deepseek.com/ HTTP/1.0\r\n\r\n"
    yield b"GET http://CHAT.DeepSeek.COM/ HTTP/1.1\r\nHost: CHAT.DeepSeek.COM\r\n\r\n"
    yield b"GET HTTP://chat.deepseek.com:8080/ HTTP/1.1\r\nhOsT:chat.deepseek.com:8080\r\n\r\n"
    yield b"GET http://chat.deepseek.com./ HTTP/1.1\r\nHost: chat.deepseek.com.\r\n\r\n"
    yield b"GET http://chat.deepseek.com HTTP/1.1\r\nHost: \t chat.deepseek.com \t\r\n\r\n"
    yield b"GET https://chat.deepseek.com/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http://chat.deepseek.com:80/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http://chat.deepseek.com:0/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    paths = ("/a?b=c&d", "//evil.example/x", "/../a/./b//c", "/%2e%2e/%00", "/\\a", "/.well-known/sumun")
    for path in (*paths, "/?dns=" + "A" * 40, "/" + "a" * 5000):
        yield head("GET", path, f"Accept: {BROWSER}")
    yield origin_form(path="/\u00e9")
    yield head("GET", "/dns-query", "Accept: application/dns-message")
    yield head("GET", "/", "User-Agent: \u00fcber/1", "Cookie: " + "c" * 4000, "Proxy-Authorization: Basic eDp5")
    yield head("GET", "/", "X-Forwarded-For: 127.0.0.9", "Forwarded: for=127.0.0.9")


def others() -> Iterator[bytes]:
    """What is not answered at the gate: refused, forwarded, asked about further, or not understood entirely."""
    yield head(host="open.test")
    yield head("POST", "/v1/chat/completions", "Content-Length: 2", host="open.test", body=b"{}")
    yield head("POST", "/", "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n")
    yield head("POST", "/", "Expect: 100-continue", "Content-Length: 2", body=b"{}")
    yield head("GET", "/", "Expect: 100-continue")
    yield head("GET", "/", "Expect: tea")
    yield head("POST", "/.well-known/sumun/acknowledge", "Content-Length: 0")
    yield head("POST", "/.well-known/sumun/review", "Content-Type: application/x-www-form-urlencoded",
               "Content-Length: 8", body=b"ticket=x")  # fmt: skip
    yield head("GET", "/.well-known/sumun/x")
    yield head("GET", "/\u00e9")
    yield origin_form(host="")
    yield origin_form(host="", version="1.0")
    yield origin_form(host="open.test")
    yield b"GET / HTTP/1.1\r\nHost:\r\n\r\n"
    yield b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"
    yield b"OPTIONS * HTTP/1.1\r\nHost: open.test\r\n\r\n"
    yield b"GET http://chat.deepseek.com/ HTTP/1.1\r\nHost: open.test\r\n\r\n"
    yield b"GET http://open.test/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http://chat.deepseek.com/ HTTP/1.1\r\nHost: chat.deepseek.com\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http://user@chat.deepseek.com/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET ftp://chat.deepseek.com/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http://[::1]/ HTTP/1.1\r\nHost: [::1]\r\n\r\n"
    yield b"GET http://192.0.2.7/ HTTP/1.1\r\nHost: 192.0.2.7\r\n\r\n"
    yield b"GET http://0x7f.1/ HTTP/1.1\r\nHost: 0x7f.1\r\n\r\n"
    yield b"GET chat.deepseek.com HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http://chat.deepseek.com:99999/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http:///x HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http://chat.deepseek.com/#a HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET http://chat.deepseek.com/ HTTP/1.1\r\n\r\n"
    yield b"GET http://chat.deepseek.com/ HTTP/2.0\r\nHost: chat.deepseek.com\r\n\r\n"
    yield b"GET  http://chat.deepseek.com/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n\r\n"
    lines = (
        *(b"A : b", b" folded", b"A", b"A: b\nC: d", b"A: \x00", b"A: b\rC: d", b"\x80: b", b"Connection: host"),
        *(b"Content-Length: 1, 1", b"Content-Length: +1", b"Content_Length: 0", b"Transfer-Encoding: gzip"),
        *(b"Content-Length: 0\r\nContent-Length: 0", b"Content-Length: 0\r\nTransfer-Encoding: chunked"),
    )
    for line in lines:
        yield b"GET http://chat.deepseek.com/ HTTP/1.1\r\nHost: chat.deepseek.com\r\n" + line + b"\r\n\r\n"
