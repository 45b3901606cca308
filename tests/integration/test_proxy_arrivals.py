"""Every way in which a client may arrive at the proxy port besides CONNECT: one policy for all."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from sumun.config.settings import Leading, TransparentListener
from sumun.model.parents import SIGNATURE
from sumun.model.segment import Handling, ProxyPolicy
from sumun.model.verdict import Verdict
from sumun.policy.engine import Policy
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import LOOPBACK, Filter, curl, filtering, hello, loopback_settings, say

pytestmark = pytest.mark.integration

NAMES = {"open.test": "127.0.0.1", "chat.deepseek.com": "127.0.0.1"}
PARENT, MILITARY = "127.0.0.8", "10.20.0.7"


def two_segments() -> Policy:
    return policy(
        segment("hq", "127.0.0.1/32"),
        segment("parents", f"{PARENT}/32"),
        segment("military", "10.20.0.0/16", rules=[rule("no-ai", "block", categories=["*"])]),
        services=[DEEPSEEK, CHATGPT],
    )


def run(folder: Path, test: Callable[[Filter, Origin, Origin], Awaitable[None]]) -> None:
    async def main() -> None:
        authority = OriginCA(folder)
        secure, plain = Origin(context=authority.context(*NAMES)), Origin()
        settings = loopback_settings(folder, authority.path, trusted_parents=(ip_network(f"{PARENT}/32"),))
        async with (
            secure.serving(),
            plain.serving(),
            filtering(folder, two_segments(), NAMES, settings=settings) as filter_,
        ):
            await test(filter_, secure, plain)

    asyncio.run(main())


@pytest.mark.parametrize("how", ["--socks5-hostname", "--socks5"])
def test_socks5_by_name_and_by_address(tmp_path: Path, how: str) -> None:
    async def test(filter_: Filter, secure: Origin, plain: Origin) -> None:
        via = (how, f"127.0.0.1:{filter_.port}", "--resolve", f"open.test:{secure.port}:127.0.0.1")
        answer = await curl(*via, "--cacert", str(tmp_path / "origin-ca.pem"), f"https://open.test:{secure.port}/")
        assert (answer.status, answer.text) == (200, "origin speaking"), answer.complaint
        assert filter_.count("proxy_connections_total", segment="hq", outcome="spliced") == 1
        over_http = await curl(how, f"127.0.0.1:{filter_.port}", f"http://127.0.0.1:{plain.port}/")
        assert over_http.status == 200, over_http.complaint

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        pytest.param(b"\x05\x01\x02", b"\x05\xff", id="a password only"),
        pytest.param(b"\x05\x01\x00\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x50", b"\x05\x00\x05\x07", id="bind"),
        pytest.param(b"\x05\x01\x00\x05\x01\x00\x09\x7f\x00\x00\x01\x00\x50", b"\x05\x00\x05\x08", id="address type"),
        pytest.param(b"\x05\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x01\x01\xbb", b"\x05\x00\x05\x02", id="internal"),
        pytest.param(b"\x05\x01\x00\x05\x01\x00\x03\x07no.test\x01\xbb", b"\x05\x00\x05\x04", id="an unknown name"),
        pytest.param(b"\x05\x01\x00\x05\x01\x00\x03\x05a..bc\x01\xbb", b"\x05\x00", id="no name at all"),
    ],
)
def test_socks5_that_leads_nowhere_is_told_so(tmp_path: Path, said: bytes, heard: bytes) -> None:
    async def test(filter_: Filter, secure: Origin, _: Origin) -> None:
        answer = await say(filter_.port, said)
        assert answer.startswith(heard)
        assert len(answer) in (2, 12)
        assert secure.connections == 0

    run(tmp_path, test)


def proxy_v2(client: str) -> bytes:
    addresses = ip_address(client).packed + ip_address("127.0.0.1").packed + bytes((0x30, 0x39, 0, 80))
    return SIGNATURE + bytes((0x21, 0x11)) + len(addresses).to_bytes(2) + addresses


@pytest.mark.parametrize(
    "header",
    [f"PROXY TCP4 {MILITARY} 127.0.0.1 12345 80\r\n".encode(), proxy_v2(MILITARY)],
    ids=["version 1", "version 2"],
)
def test_a_listed_parent_tells_the_client_by_the_proxy_protocol(tmp_path: Path, header: bytes) -> None:
    async def test(filter_: Filter, secure: Origin, plain: Origin) -> None:
        request = f"GET http://chat.deepseek.com:{plain.port}/ HTTP/1.1\r\nHost: chat.deepseek.com:{plain.port}\r\n"
        request += "Connection: close\r\n\r\n"
        assert b"200 OK" in await say(filter_.port, request.encode(), client=PARENT), "control: the parent itself may"
        said = await say(filter_.port, header + request.encode(), client=PARENT)
        assert said.startswith(b"HTTP/1.1 403 ")
        assert str(filter_.events.seen[-1].request.client) == MILITARY
        assert plain.connections == 1
        tunnel = f"CONNECT chat.deepseek.com:{secure.port} HTTP/1.1\r\n\r\n".encode()
        await say(filter_.port, header + tunnel + hello("chat.deepseek.com"), client=PARENT, finish=True)
        assert filter_.count("proxy_connections_total", segment="military", outcome="intercepted") == 2
        assert secure.connections == 0

    run(tmp_path, test)


def test_nobody_else_is_believed(tmp_path: Path) -> None:
    """A client must not choose its segment."""

    async def test(filter_: Filter, secure: Origin, plain: Origin) -> None:
        for header in (f"PROXY TCP4 {PARENT} 127.0.0.1 1 80\r\n".encode(), proxy_v2(PARENT)):
            said = await say(filter_.port, header + f"CONNECT open.test:{secure.port} HTTP/1.1\r\n\r\n".encode())
            assert b" 200 " not in said
        mine = f"http://chat.deepseek.com:{plain.port}/"
        await filter_.curl("-H", f"X-Forwarded-For: {MILITARY}", mine)
        assert str(filter_.events.seen[-1].request.client) == "127.0.0.1"
        assert secure.connections == 0

    run(tmp_path, test)


def test_a_listed_parent_tells_the_client_by_a_field_of_each_request(tmp_path: Path) -> None:
    async def test(filter_: Filter, secure: Origin, plain: Origin) -> None:
        url = f"http://chat.deepseek.com:{plain.port}/"
        told = ("-H", f"X-Forwarded-For: 203.0.113.9, {MILITARY}, {PARENT}")
        assert (await filter_.curl(*told, url, client=PARENT)).status == 403
        assert str(filter_.events.seen[-1].request.client) == MILITARY, "what stands left of it is hearsay"
        junk = ("-H", f"X-Forwarded-For: {MILITARY}, junk")
        assert (await filter_.curl(*junk, url, client=PARENT)).status == 200
        head = f"CONNECT chat.deepseek.com:{secure.port} HTTP/1.1\r\nX-Forwarded-For: {MILITARY}\r\n\r\n"
        await say(filter_.port, head.encode() + hello("chat.deepseek.com"), client=PARENT, finish=True)
        assert filter_.count("proxy_connections_total", segment="military", outcome="intercepted") == 1

    run(tmp_path, test)


def test_the_proxy_tells_how_to_use_it_and_whom_to_trust(tmp_path: Path) -> None:
    async def test(filter_: Filter, *_: Origin) -> None:
        base = f"http://127.0.0.1:{filter_.port}"
        pac = await curl("--noproxy", "*", "--interface", "127.0.0.1", f"{base}/proxy.pac")
        assert pac.headers["content-type"] == "application/x-ns-proxy-autoconfig"
        assert f'"PROXY 127.0.0.1:{filter_.port}"' in pac.text
        certificate = await curl("--noproxy", "*", "--interface", "127.0.0.1", f"{base}/sumun-ca.pem?x=1")
        assert certificate.body == filter_.ca.read_bytes()
        assert b"PRIVATE" not in certificate.body
        stranger = await curl("--noproxy", "*", "--interface", "127.0.0.77", f"{base}/proxy.pac")
        assert stranger.status == 403
        sinkholed = f"http://127.0.0.1:{filter_.http_port}/proxy.pac"
        assert b"FindProxyForURL" not in (await curl("--noproxy", "*", sinkholed)).body, "it is another host's there"

    run(tmp_path, test)


INSIDE = """
import asyncio, json, sys
from pathlib import Path
from tests.integration.test_proxy_arrivals import led
print(json.dumps(asyncio.run(led(Path(sys.argv[1]), sys.argv[2]))))
"""
ELSEWHERE = "192.0.2.80"
"""Where clients of the namespace believe that everything is."""


async def led(folder: Path, leading: str) -> dict[str, object]:
    """Inside a namespace of its own: let the firewall lead a client here, and say what came of it."""
    os.unshare(os.CLONE_NEWNET)

    def words(*line: str) -> None:
        subprocess.run(line, check=True, capture_output=True)

    words("ip", "link", "set", "lo", "up")
    words("ip", "address", "add", f"{ELSEWHERE}/32", "dev", "lo")
    authority = OriginCA(folder)
    origin = Origin(address="127.0.5.1", context=authority.context("open.test", "chat.deepseek.com"))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = loopback_settings(folder, authority.path)
    listener = TransparentListener(LOOPBACK, port, Leading(leading))
    settings = replace(settings, listen=replace(settings.listen, transparent=listener))
    both = policy(
        segment("hq", "127.0.0.1/32", proxy=ProxyPolicy(other_protocols=Handling.REFUSE)),
        segment("military", "127.0.0.3/32", rules=[rule("no-ai", "block", categories=["*"])]),
        services=[DEEPSEEK],
    )
    names = {"open.test": "127.0.5.1", "chat.deepseek.com": "127.0.5.1"}
    if leading == "redirect":
        words("nft", "add table ip sumun; add chain ip sumun out { type nat hook output priority -100; };"
              f" add rule ip sumun out ip daddr {ELSEWHERE} tcp dport 443 redirect to :{port}")  # fmt: skip
    else:
        words("ip", "rule", "add", "fwmark", "1", "lookup", "100")
        words("ip", "route", "add", "local", "default", "dev", "lo", "table", "100")
        words("nft", "add table ip sumun;"
              " add chain ip sumun out { type route hook output priority -150; };"
              f" add rule ip sumun out ip daddr {ELSEWHERE} tcp dport 443 meta mark set 1;"
              " add chain ip sumun in { type filter hook prerouting priority -150; };"
              f" add rule ip sumun in ip daddr {ELSEWHERE} tcp dport 443"
              f" tproxy to 127.0.0.1:{port} meta mark set 1")  # fmt: skip
    async with origin.serving(443), filtering(folder, both, names, settings=settings) as filter_:
        there = ("--noproxy", "*", "--interface", "127.0.0.1", "--connect-to", f"::{ELSEWHERE}:443")
        allowed = await curl(*there, "--cacert", str(authority.path), "https://open.test/")
        blocked = await curl(
            *there[:3], "127.0.0.3", *there[4:], "--cacert", str(filter_.ca), "https://chat.deepseek.com/"
        )
        return {
            "allowed": [allowed.status, allowed.text, allowed.complaint],
            "blocked": [blocked.status, blocked.complaint],
            "origin": origin.connections,
            "mismatch": filter_.count("bypass_attempts_total", segment="hq", technique="address_mismatch"),
            "verdicts": [event.verdict for event in filter_.events.seen],
        }


@pytest.mark.parametrize("leading", ["redirect", "tproxy"])
def test_the_firewall_leads_clients_here_that_know_of_no_proxy(tmp_path: Path, leading: str) -> None:
    """The server name decides, and is where the connection goes, whatever address the client dialled."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    if subprocess.run(["nft", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("needs nft")
    root = str(Path(__file__).parents[2])
    ran = subprocess.run(
        [sys.executable, "-c", INSIDE, str(tmp_path), leading], capture_output=True, text=True, check=False,
        cwd=root, env={**os.environ, "PYTHONPATH": f"{root}/addon:{root}"}, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    seen = json.loads(ran.stdout.splitlines()[-1])
    assert seen["allowed"] == [200, "origin speaking", ""]
    assert seen["blocked"][0] == 403, seen
    assert (seen["origin"], seen["mismatch"]) == (1, 1)
    assert seen["verdicts"] == [Verdict.BLOCK_PAGE]
