"""Ways round the filter, each tried, and what becomes of it: docs/reference/bypass.md is made of these."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sumun.model.segment import ProxyPolicy
from sumun.model.service import Service
from sumun.policy.engine import Policy
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment, service
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Filter, filtering, hello, say

pytestmark = pytest.mark.integration

PAGE = Path(__file__).parents[2] / "docs/reference/bypass.md"
NAMES = (
    "open.test", "chat.deepseek.com", "cloudflare-ech.com", "web.archive.org", "chat-deepseek-com.translate.goog",
    "llm.test",
)  # fmt: skip
BLOCKED = "chat.deepseek.com"
OUTSIDE = "198.51.100.7"
"""Outside what the configuration calls internal; nothing is ever sent there."""


@dataclass(frozen=True)
class Scene:
    filter_: Filter
    secure: Origin
    plain: Origin

    def untouched(self) -> None:
        assert (self.secure.connections, self.plain.connections) == (0, 0)

    def counted(self, technique: str) -> None:
        assert self.filter_.count("bypass_attempts_total", segment="hq", technique=technique) == 1

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
    "spelling", "Another spelling of a blocked name: case, final dot, full-width letters, percent-encoding",
    sees="the name in its one canonical form", does="judges it as that name",
)  # fmt: skip
async def spelling(scene: Scene) -> None:
    for name in ("CHAT.DeepSeek.com", "chat.deepseek.com."):
        assert (await scene.lines(f"GET http://{name}/ HTTP/1.1", f"Host: {name}")).startswith(b"HTTP/1.1 403"), name
    for name in ("chat%2Edeepseek.com", "%EF%BC%A3hat.deepseek.com", "chat%E3%80%82deepseek.com", "CHAT.deepseek.com."):
        await scene.tunnel(f"{name}:{scene.secure.port}", hello(BLOCKED))
    assert scene.filter_.count("proxy_connections_total", segment="hq", outcome="intercepted") == 6
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
    await scene.tunnel(f"open.test:{scene.secure.port}", b"SSH-2.0-OpenSSH_9.2\r\n")
    scene.counted("unknown_protocol")
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
    "smuggling", "Requests that two servers would cut differently: two lengths, both framings, bare line feeds, NUL",
    sees="the head as it came", does="refuses with 400",
)  # fmt: skip
async def smuggling(scene: Scene) -> None:
    start = f"POST http://open.test:{scene.plain.port}/ HTTP/1.1", f"Host: open.test:{scene.plain.port}"
    for fields in (
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("X: a\0b",),
        ("X: a\nHost: chat.deepseek.com",),
    ):
        said = await scene.lines(*start, *fields)
        assert said.startswith(b"HTTP/1.1 400"), (fields, said[:100])
    assert scene.plain.requests == []


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
