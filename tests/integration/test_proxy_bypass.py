"""Ways round the filter, each tried, and what becomes of it: docs/reference/bypass.md is made of these."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from sumun.model.segment import ProxyPolicy
from sumun.model.service import Service
from sumun.policy.engine import Policy
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment, service
from tests.support.evasions import hello_with
from tests.support.h2_client import exchange, fields, tunnelled
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Filter, filtering, hello, say

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs/reference/bypass.md"
NAMES = (
    "open.test", "chat.deepseek.com", "cloudflare-ech.com", "web.archive.org", "chat-deepseek-com.translate.goog",
    "llm.test", "chatgpt.com",
)  # fmt: skip
BLOCKED = "chat.deepseek.com"
INSPECTED = "chatgpt.com"
"""Allowed, and decrypted for the sake of a rule on models."""
OUTSIDE = "198.51.100.7"
"""Outside what the configuration calls internal; nothing is ever sent there."""


@dataclass(frozen=True)
class Scene:
    filter_: Filter
    secure: Origin
    plain: Origin

    def untouched(self) -> None:
        assert (self.secure.connections, self.plain.connections) == (0, 0)

    def counted(self, technique: str, times: int = 1) -> None:
        assert self.filter_.count("bypass_attempts_total", segment="hq", technique=technique) == times

    def inspected(self, name: str = INSPECTED) -> str:
        return f"{name}:{self.secure.port}"

    async def tunnel(self, target: str, *inside: bytes) -> bytes:
        return await say(self.filter_.port, f"CONNECT {target} HTTP/1.1\r\n\r\n".encode(), *inside, finish=True)

    async def lines(self, *lines: str) -> bytes:
        return await say(self.filter_.port, "\r\n".join((*lines, "Connection: close", "", "")).encode())


type Trial = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True)
class Technique:
    """One row of the page."""

    id: str
    what: str
    sees: str
    does: str
    firewall: str
    trial: Trial


TECHNIQUES: list[Technique] = []


def technique(id_: str, what: str, *, sees: str, does: str, firewall: str = "") -> Callable[[Trial], Trial]:
    def add(trial: Trial) -> Trial:
        TECHNIQUES.append(Technique(id_, what, sees, does, firewall, trial))
        return trial

    return add


ALERT = bytes((0x15, 3, 3, 0, 2, 2, 49))


@technique(
    "spelling", "Another spelling of a blocked name: case, final dot, full-width letters, percent-encoding, NUL",
    sees="the name in its one canonical form", does="judges it as that name, or refuses what is no name",
)  # fmt: skip
async def spelling(scene: Scene) -> None:
    for name in ("chat.deepseek.com\0", "chat%00.deepseek.com", "ｃhat.deepseek.com", "chat\\.deepseek.com"):
        assert (await scene.lines(f"GET http://{name}/ HTTP/1.1", f"Host: {name}")).startswith(b"HTTP/1.1 400"), name
    for name in ("CHAT.DeepSeek.com", "chat.deepseek.com."):
        assert (await scene.lines(f"GET http://{name}/ HTTP/1.1", f"Host: {name}")).startswith(b"HTTP/1.1 403"), name
    for name in ("chat%2Edeepseek.com", "%EF%BC%A3hat.deepseek.com", "chat%E3%80%82deepseek.com", "CHAT.deepseek.com."):
        await scene.tunnel(f"{name}:{scene.secure.port}", hello(BLOCKED))
    assert scene.filter_.count("proxy_connections_total", segment="hq", outcome="intercepted") == 10
    scene.untouched()


@technique(
    "sni_mismatch", "A harmless host in the CONNECT, a blocked one in the server name, or the other way round",
    sees="both names", does="refuses, whichever of the two is blocked",
)  # fmt: skip
async def sni_mismatch(scene: Scene) -> None:
    said = await scene.tunnel(f"open.test:{scene.secure.port}", hello("llm.test"))
    assert said.endswith(ALERT)
    scene.counted("sni_mismatch")
    scene.untouched()


@technique(
    "host_mismatch", "One host in the request line, another in the Host field",
    sees="every name that the request carries", does="refuses with 400",
)  # fmt: skip
async def host_mismatch(scene: Scene) -> None:
    port = scene.plain.port
    said = await scene.lines(f"GET http://open.test:{port}/ HTTP/1.1", f"Host: llm.test:{port}")
    assert said.startswith(b"HTTP/1.1 400")
    scene.counted("host_mismatch")
    scene.untouched()


@technique(
    "no_server_name", "TLS without a server name, inside a tunnel",
    sees="that the extension is missing", does="refuses, unless `no_server_name: allow`",
)  # fmt: skip
async def no_server_name(scene: Scene) -> None:
    assert (await scene.tunnel(f"open.test:{scene.secure.port}", hello(None))).endswith(ALERT)
    scene.counted("no_server_name")
    scene.untouched()


@technique(
    "address_literal", "A tunnel to an address, in any spelling, without a server name",
    sees="the address, and no name", does="refuses, unless `address_literals: allow`",
    firewall="lets nobody but the proxy out, or the client dials the address itself",
)  # fmt: skip
async def address_literal(scene: Scene) -> None:
    for target in ("8.8.8.8:443", "0x08080808:443", "134744072:443"):
        assert (await scene.tunnel(target, hello(None))).endswith(ALERT), target
    assert scene.filter_.count("bypass_attempts_total", segment="hq", technique="address_literal") == 3
    scene.untouched()


@technique(
    "address_mismatch", "A tunnel to the address of a blocked host, with a harmless server name",
    sees="that the name does not lead to that address", does="goes where the name leads, and counts it",
)  # fmt: skip
async def address_mismatch(scene: Scene) -> None:
    said = await scene.tunnel(f"8.8.8.8:{scene.secure.port}", hello("open.test"))
    assert b" 403 " in said, "a port that is not allowed, to an address that is not internal"
    said = await scene.tunnel("8.8.8.8:443", hello("open.test"))
    assert b" 200 " in said
    scene.counted("address_mismatch")


@technique(
    "encrypted_client_hello", "An encrypted ClientHello, which shows only its operator's outer name",
    sees="the outer name (`cloudflare-ech.com`)", does="refuses, unless `encrypted_client_hello: allow`",
    firewall="nothing more; the sinkhole withholds the keys (HTTPS records) of names it steers",
)  # fmt: skip
async def encrypted_client_hello(scene: Scene) -> None:
    said = await scene.tunnel(f"open.test:{scene.secure.port}", hello("cloudflare-ech.com"))
    assert said.endswith(ALERT)
    scene.counted("encrypted_client_hello")
    scene.untouched()


@technique(
    "connect_port", "A tunnel to a port that serves something else than the web",
    sees="the port", does="refuses what is not in `connect_ports`",
    firewall="lets nobody but the proxy out",
)  # fmt: skip
async def connect_port(scene: Scene) -> None:
    assert (await scene.tunnel("8.8.8.8:22")).startswith(b"HTTP/1.1 403")
    scene.counted("connect_port")
    scene.untouched()


@technique(
    "unknown_protocol", "Another protocol inside a tunnel: SSH, a VPN, Tor's obfuscated transports",
    sees="that it is neither TLS nor HTTP", does="closes, unless `other_protocols: allow`",
    firewall="lets nobody but the proxy out; a tunnel that is real TLS to a host that is allowed looks like any other",
)  # fmt: skip
async def unknown_protocol(scene: Scene) -> None:
    for said in (b"SSH-2.0-OpenSSH_9.2\r\n", bytes.fromhex("8d2fa07c") * 64, b"\x38\x01\x00\x00\x00\x00\x00\x00"):
        await scene.tunnel(f"open.test:{scene.secure.port}", said)
    scene.counted("unknown_protocol", 3)
    await scene.tunnel("8.8.8.8:443", hello("www.k3xj5v2q.test"))  # as Tor does, with a name that it made up
    scene.untouched()


@technique(
    "server_first", "A tunnel on port 443 to a server that speaks first: SSH, SMTP, a VPN",
    sees="that the client says nothing", does="dials nothing before the client has said what it wants, and then closes",
    firewall="lets nobody but the proxy out",
)  # fmt: skip
async def server_first(scene: Scene) -> None:
    assert (await scene.tunnel(f"open.test:{scene.secure.port}")).endswith(b"established\r\n\r\n")
    scene.untouched()


@technique(
    "tls_in_tls", "A second TLS connection inside the first, to another host",
    sees="where the first is decrypted: that TLS begins again; elsewhere nothing",
    does="refuses it inside a decrypted tunnel",
    firewall="nothing: a tunnel that is real TLS to a host that is allowed, and not decrypted, looks like any other",
)  # fmt: skip
async def tls_in_tls(scene: Scene) -> None:
    def inside() -> bytes:
        with tunnelled(scene.filter_.port, scene.inspected(), alpn=("http/1.1",)) as outer:
            outer.sendall(hello(BLOCKED))
            return outer.recv(65536)

    assert (await asyncio.to_thread(inside)).startswith(b"HTTP/1.1 400 ")
    scene.counted("tls_in_tls")
    scene.untouched()


@technique(
    "two_names", "Two server names in one ClientHello, or one that two servers would read differently",
    sees="the whole extension", does="closes",
)  # fmt: skip
async def two_names(scene: Scene) -> None:
    for names in (
        ("open.test", BLOCKED),
        (BLOCKED, "open.test"),
        ("open.test\0." + BLOCKED,),
        ("open.test%00",),
        ("",),
    ):
        said = await scene.tunnel(f"open.test:{scene.secure.port}", hello_with(*names), b"")
        assert b"\x16" not in said, names
    assert scene.filter_.count("proxy_connections_total", segment="hq", outcome="spliced") == 0
    scene.untouched()


@technique(
    "coalescing", "A request for the blocked host on a connection that was opened, or is kept, for another",
    sees="each request by itself, with every host that it names",
    does="shows the page; another host that is allowed is sent back for a connection of its own (421)",
    firewall="nothing: inside a tunnel that is not decrypted no request is seen (see `fronting`)",
)  # fmt: skip
async def coalescing(scene: Scene) -> None:
    port, target = scene.filter_.port, scene.inspected()
    first = fields(scene.inspected())
    for second, status in ((BLOCKED, 403), ("llm.test", 421), (INSPECTED, 200)):
        both = first, fields(scene.inspected(second))
        assert await asyncio.to_thread(exchange, port, target, *both) == [200, status], second
    assert {request.header(":authority")[0] for request in scene.secure.requests} == {scene.inspected()}
    own = f"open.test:{scene.plain.port}"
    kept = f"GET http://{own}/ HTTP/1.1\r\nHost: {own}\r\n\r\n"
    said = await scene.lines(f"{kept}GET http://{BLOCKED}/ HTTP/1.1", f"Host: {BLOCKED}")
    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 403 ")) == (1, 1), said


@technique(
    "fronting", "A harmless server name, and the blocked host in the Host field inside TLS",
    sees="where the host is decrypted: both; elsewhere the server name alone",
    does="refuses it where the host is decrypted; the rest is the price of not decrypting",
    firewall="nothing: a rule with a condition on requests, such as `models`, has the fronting host decrypted",
)  # fmt: skip
async def fronting(scene: Scene) -> None:
    theirs = ("--cacert", str(scene.filter_.ca.parents[1] / "origin-ca.pem"), "-H", f"Host: {BLOCKED}")
    assert (await scene.filter_.curl(*theirs, f"https://open.test:{scene.secure.port}/")).status == 200, "not seen"
    seen = await scene.filter_.curl("--http1.1", "-H", f"Host: {BLOCKED}", f"https://{scene.inspected()}/")
    assert seen.status == 400
    seen = await scene.filter_.curl("--http2", "-H", f"Host: {BLOCKED}", f"https://{scene.inspected()}/")
    assert seen.status == 403
    assert scene.secure.connections == 1


@technique(
    "http2_fields", "HTTP/2 requests that would be others in HTTP/1: line ends in fields, pseudo-fields twice or "
    "unknown (`:protocol`, RFC 8441), spaces in the path, lengths that lie",
    sees="each field as it came", does="answers 400, or ends the stream or the connection",
)  # fmt: skip
async def http2_fields(scene: Scene) -> None:
    port, target = scene.filter_.port, scene.inspected()
    good = fields(target)
    assert await asyncio.to_thread(exchange, port, target, good) == [200], "control"
    smuggled = f"/ HTTP/1.1\r\nHost: {BLOCKED}\r\n\r\n".encode()
    odd = [
        fields(target, smuggled), fields(target, b"/a b"), fields(target, b"http://" + BLOCKED.encode() + b"/"),
        fields(target, b""), fields(target, b"*"), fields(target, b"/\x00"), fields(target, b"/#x"),
        fields(target, b"/", b"GET " + smuggled), fields(target, b"/", b"G\x00T"), fields(target, b"/", b"CONNECT"),
        fields(target, b"/", b"GET", (b"x", b"a\r\nhost: " + BLOCKED.encode())),
        fields(target, b"/", b"GET", (b"x\r\nhost", BLOCKED.encode())), fields(target, b"/", b"GET", (b"x: y", b"z")),
        fields(target, b"/", b"GET", (b"x", b"a\x00b")), fields(target, b"/", b"GET", (b"x", b"a\nb")),
        fields(target, b"/", b"GET", (b"transfer-encoding", b"chunked")), fields(target, b"/", b"GET", (b"", b"x")),
        fields(target, b"/", b"GET", (b"connection", b"close")), fields(target, b"/", b"GET", (b"te", b"gzip")),
        fields(target, b"/", b"GET", (b"content-length", b"5")), fields(target, b"/", b"GET", (b"X-Upper", b"a")),
        fields(target, b"/", b"GET", (b":path", b"/hidden")), fields(target, b"/", b"GET", (b"host", BLOCKED.encode())),
        [*good, (b":authority", BLOCKED.encode())], [(b":authority", BLOCKED.encode()), *good], good[:-1], good[1:],
        [(b":protocol", b"websocket"), *fields(target, b"/", b"CONNECT")], [(b":status", b"200"), *good],
        [(b"x", b"y"), *good], [(b":scheme", b"ftp"), *(f for f in good if f[0] != b":scheme")],
    ]  # fmt: skip
    for head in odd:
        (result,) = await asyncio.to_thread(exchange, port, target, head)
        assert result in (400, 403, "reset", "gone"), head
    lying = fields(target, b"/", b"POST", (b"content-length", b"1"))
    assert (await asyncio.to_thread(exchange, port, target, lying, body=b"GET /hidden"))[0] != 200
    assert all((request.method, request.path) == ("GET", "/") for request in scene.secure.requests)
    assert len(scene.secure.requests) == 1


@technique(
    "dns_over_https", "Names asked of a resolver over HTTPS, which the sinkhole does not see",
    sees="the resolver's name (list `dns-bypass`); the question, in plain HTTP and where the host is decrypted",
    does="blocks resolvers that are known where a rule says so; refuses the question, unless `dns_over_https: allow`",
    firewall="lets nobody but the sinkhole and the proxy out, on port 443 of the resolvers that are known, too",
)  # fmt: skip
async def dns_over_https(scene: Scene) -> None:
    query = bytes.fromhex("00000100000100000000000003777777076578616d706c6503636f6d0000010001")
    asked = ("-H", "Content-Type: application/dns-message", "--data-binary", "@-")
    for url in (f"http://llm.test:{scene.plain.port}/dns-query", f"https://{scene.inspected()}/other"):
        assert (await scene.filter_.curl(*asked, url, stdin=query)).status == 403
        assert (await scene.filter_.curl(f"{url}?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB")).status == 403
    scene.counted("dns_over_https", 2)
    assert [event.context.bypass for event in scene.filter_.events.seen] == ["dns_over_https"] * 2, "counted there"
    resolver = f"https://dns.resolver.test:{scene.secure.port}/dns-query"
    assert (await scene.filter_.curl(*asked, resolver, stdin=query)).status == 403
    scene.untouched()


@technique(
    "nested_connect", "A CONNECT inside a tunnel, to leave the outer host behind",
    sees="a CONNECT where TLS or HTTP belongs", does="closes",
)  # fmt: skip
async def nested_connect(scene: Scene) -> None:
    await scene.tunnel(f"open.test:{scene.secure.port}", f"CONNECT {BLOCKED}:443 HTTP/1.1\r\n\r\n".encode())
    scene.untouched()


@technique(
    "internal_address", "The proxy as a way to hosts inside, such as a cloud's metadata service",
    sees="the address that would be dialled, however it is wrapped", does="refuses what `destinations` does not name",
)  # fmt: skip
async def internal_address(scene: Scene) -> None:
    for target in ("169.254.169.254:443", "[::ffff:10.0.0.1]:443", "[64:ff9b::a9fe:a9fe]:443", "2852039166:443"):
        assert (await scene.tunnel(target)).startswith(b"HTTP/1.1 403"), target
    scene.untouched()


@technique(
    "translated_copy", "A translation of the blocked site (`chat-deepseek-com.translate.goog`)",
    sees="the host that the label spells",
    does="judges the copy as that host; the rest of the translator is left alone",
)  # fmt: skip
async def translated_copy(scene: Scene) -> None:
    name = "chat-deepseek-com.translate.goog"
    answer = await scene.filter_.curl(f"https://{name}:{scene.secure.port}/")
    assert answer.status == 403
    scene.untouched()


@technique(
    "archived_copy", "An archive, a cache or a reader that shows the blocked site",
    sees="the address in path and query, in plain HTTP and where the copying host is decrypted",
    does="judges it as the host that is shown", firewall="nothing: block the copying host by a rule where it matters",
)  # fmt: skip
async def archived_copy(scene: Scene) -> None:
    base = f"http://web.archive.org:{scene.plain.port}"
    assert (await scene.filter_.curl(f"{base}/web/2025/https://open.test/")).status == 200, "control"
    for path in ("/web/2025/https://chat.deepseek.com/", "/web/2025/https:%2F%2Fchat.deepseek.com/"):
        assert (await scene.filter_.curl(base + path)).status == 403, path
    assert len(scene.plain.requests) == 1


@technique(
    "unknown_llm_api", "An LLM API on a host that no list names",
    sees="the shape of the request, in plain HTTP and where the host is decrypted",
    does="files it under the service `unknown-llm-api`: an event, a metric, and a condition for rules",
    firewall="lets nobody but the proxy out",
)  # fmt: skip
async def unknown_llm_api(scene: Scene) -> None:
    url = f"http://llm.test:{scene.plain.port}/v1/chat/completions"
    body = ("-H", "Content-Type: application/json", "--data-binary", "@-")
    chat = b'{"model": "some-model", "messages": []}'
    assert (await scene.filter_.curl(*body, url, stdin=b'{"text": "x"}')).status == 200, "control: no model, no LLM"
    assert (await scene.filter_.curl(*body, url, stdin=chat)).status == 403
    assert scene.filter_.count("llm_apis_discovered_total", segment="hq") == 1
    event = scene.filter_.events.seen[-1]
    assert event.outcome.service is not None
    assert (event.outcome.service.id, str(event.request.name)) == ("unknown-llm-api", "llm.test")
    assert len(scene.plain.requests) == 1


@technique(
    "smuggling", "Requests that two servers would cut differently: two lengths, both framings, bare line feeds, NUL, "
    "folded lines, blanks before a colon, odd chunks",
    sees="the head as it came", does="refuses with 400; what it passes on is framed anew",
)  # fmt: skip
async def smuggling(scene: Scene) -> None:
    start = f"POST http://open.test:{scene.plain.port}/ HTTP/1.1", f"Host: open.test:{scene.plain.port}"
    for odd in (
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("X: a\0b",),
        ("X: a\nHost: chat.deepseek.com",),
        ("X: a", " b"),
        ("Content-Length : 5",),
        ("Content_Length: 5",),
    ):
        said = await scene.lines(*start, *odd)
        assert said.startswith(b"HTTP/1.1 400"), (odd, said[:100])
        assert b"mitmproxy" not in said.lower()
    assert scene.plain.requests == []
    scene.counted("smuggling", 8)


@technique(
    "chosen_address", "A PROXY header or X-Forwarded-For of the client's own, to pass for somebody in another segment",
    sees="that no listed parent sent it", does="takes the client for whom it is",
)  # fmt: skip
async def chosen_address(scene: Scene) -> None:
    url = f"http://{BLOCKED}:{scene.plain.port}/"
    assert (await scene.filter_.curl("-H", "X-Forwarded-For: 127.0.0.2", url)).status == 403
    header = b"PROXY TCP4 127.0.0.2 127.0.0.1 1 2\r\n"
    said = await say(scene.filter_.port, header + f"GET {url} HTTP/1.1\r\n\r\n".encode())
    assert b" 200 " not in said
    scene.untouched()


def one_blocks() -> Policy:
    unknown: Service = service("unknown-llm-api", "unknown-llm-api.invalid")
    return policy(
        segment("hq", "127.0.0.1/32", rules=[
            rule("no-deepseek", "block", services=["deepseek"]),
            rule("no-unknown-apis", "block", services=["unknown-llm-api"]),
            rule("no-resolvers", "block", domains=["dns.resolver.test"]),
            rule("no-bad-models", "block", services=["chatgpt"], models=("bad-*",)),
        ]),
        segment("open", "127.0.0.2/32", proxy=ProxyPolicy()),
        services=[DEEPSEEK, CHATGPT, unknown],
    )  # fmt: skip


@pytest.mark.parametrize("row", TECHNIQUES, ids=lambda row: row.id)
def test_it_does_not_lead_round_the_filter(tmp_path: Path, row: Technique) -> None:
    async def main() -> None:
        authority = OriginCA(tmp_path)
        secure, plain = Origin(context=authority.context(*NAMES)), Origin()
        names = dict.fromkeys(NAMES, "127.0.0.1")
        async with (
            secure.serving(),
            plain.serving(),
            filtering(tmp_path, one_blocks(), names, upstream_ca=authority.path) as filter_,
        ):
            await row.trial(Scene(filter_, secure, plain))

    asyncio.run(main())


def test_every_combination_of_connect_server_name_and_host(tmp_path: Path) -> None:
    """A request arrives only where all that names a host agrees, as far as it is seen."""

    async def main() -> None:
        authority = OriginCA(tmp_path)
        names = ("open.test", INSPECTED, BLOCKED)
        secure = Origin(context=authority.context(*names, alpn=("http/1.1",)))

        def request(connect: str, server_name: str, host: str) -> bytes:
            target = f"{connect}:{secure.port}"
            with suppress(OSError), tunnelled(filter_.port, target, alpn=(), server_name=server_name) as inside:
                inside.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{secure.port}\r\nConnection: close\r\n\r\n".encode())
                return inside.recv(65536)
            return b""

        resolved = dict.fromkeys(names, "127.0.0.1")
        async with secure.serving(), filtering(tmp_path, one_blocks(), resolved, upstream_ca=authority.path) as filter_:
            for connect, server_name, host in product(names, repeat=3):
                before = len(secure.requests)
                said = await asyncio.to_thread(request, connect, server_name, host)
                allowed = connect == server_name != BLOCKED and connect in ("open.test", host)
                assert said.startswith(b"HTTP/1.1 200 ") == allowed, (connect, server_name, host, said)
                assert len(secure.requests) == before + allowed, (connect, server_name, host)

    asyncio.run(main())


INTRODUCTION = """# Ways round the filter

What people try, what Sumun sees of it, and what becomes of it. Made of `tests/integration/test_proxy_bypass.py`, where
each row is tried against a running proxy; the test suite says when this page is out of date. The first column is the
label `technique` of `sumun_bypass_attempts_total`, where the attempt can be told from honest use.

The last column is what a filter of names and requests cannot do. Without a firewall that lets nobody but the proxy and
the sinkhole out, a client that ignores both is not filtered at all.

| technique | what is tried | what Sumun sees | what it does | what only the firewall can do |
|---|---|---|---|---|
"""


def test_the_page_is_up_to_date() -> None:
    """`UPDATE_GOLDEN=1 pytest tests/integration/test_proxy_bypass.py` renews it: read the diff."""
    rows = [f"| `{t.id}` | {t.what} | {t.sees} | {t.does} | {t.firewall} |\n" for t in TECHNIQUES]
    page = INTRODUCTION + "".join(rows)
    assert len(rows) >= 15
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page
