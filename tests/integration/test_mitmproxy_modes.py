"""The plain addon in mitmproxy's own modes, by the real mitmdump: the same policy whichever way a client comes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mitmproxy_rs.wireguard import genkey, pubkey

from tests.integration.test_next_proxy import Parent
from tests.support.builders import DEEPSEEK, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import curl
from tests.support.running import free_ports

pytestmark = pytest.mark.integration

INSIDE = "10.0.0.1"
"""The address that mitmproxy gives to a client of its WireGuard."""
POLICY = policy(
    segment("hq", "127.0.0.0/8", f"{INSIDE}/32", rules=[rule("no-ai", "block", categories=["*"])]), services=[DEEPSEEK]
)
ROOT = Path(__file__).parents[2]
SCRIPT = """
from ipaddress import ip_network
from prometheus_client import CollectorRegistry
from sumun.model.organisation import Organisation
from sumun.pages.render import render
from sumun.proxy.parts import Parts
from sumun.proxy.server import standalone_addons
from sumun.proxy.shim import Shim
from sumun.telemetry.metrics import Metrics
from tests.integration.test_mitmproxy_modes import POLICY
from tests.support.builders import NOON
from tests.support.proxies import AwaitedEvents, FakeResolver, loopback_settings

def build(path):
    folder = path.parent
    internal = [ip_network(text) for text in (folder / "internal").read_text().split()]
    return standalone_addons(Parts(
        settings=loopback_settings(folder, folder / "origin-ca.pem", internal_destinations=tuple(internal)),
        policy=lambda: POLICY, organisation=Organisation, events=AwaitedEvents(), metrics=Metrics(CollectorRegistry()),
        pages=render, ca_folder=folder / "ca", clock=lambda: NOON,
        resolver=FakeResolver({"open.test": "127.0.0.1", "chat.deepseek.com": "127.0.0.1", "far.test": "192.88.1.1"}),
    ))

addons = [Shim(build)]
"""


@asynccontextmanager
async def mitmdump(
    folder: Path, mode: str, *, internal: str = "127.0.0.0/8", host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """Run it in this mode, and say on which port."""
    (folder / "script.py").write_text(SCRIPT)
    (folder / "internal").write_text(internal)
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("mitmdump")), "--listen-host", host, "-p", str(port), "--mode", mode,
        "-s", str(folder / "script.py"), "--set", f"sumun_config={folder / 'sumun.yaml'}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={
            "PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}/addon:{ROOT}", "HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
        },
    )  # fmt: skip
    output = process.stdout
    assert output
    try:
        async with asyncio.timeout(200):  # it takes seconds, and on a machine that has no time for it a minute
            said = b""
            while b"listening" not in said:
                line = await output.readline()
                assert line, said.decode()
                said += line
        yield port
    finally:
        process.terminate()
        await process.communicate()


def roots(folder: Path) -> tuple[tuple[str, str], tuple[str, str]]:
    """Trusting us, and trusting the origins."""
    return ("--cacert", str(folder / "ca" / "mitmproxy-ca-cert.pem")), ("--cacert", str(folder / "origin-ca.pem"))


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_regular_and_socks5(tmp_path: Path, scheme: str) -> None:
    async def main() -> None:
        origin = Origin(context=OriginCA(tmp_path).context("open.test", "chat.deepseek.com"))
        mode = "regular" if scheme == "http" else "socks5"
        async with origin.serving(), mitmdump(tmp_path, mode) as port:
            (ours, theirs), via = roots(tmp_path), ("--proxy", f"{scheme}://127.0.0.1:{port}")
            blocked = await curl(*via, *ours, f"https://chat.deepseek.com:{origin.port}/")
            assert blocked.status == 403, blocked.complaint
            assert (await curl(*via, f"http://chat.deepseek.com:{origin.port}/")).status == 403
            assert origin.connections == 0
            allowed = await curl(*via, *theirs, f"https://open.test:{origin.port}/")
            assert allowed.text == "origin speaking", allowed.complaint

    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_a_connect_keeps_to_the_ports_of_the_segment(tmp_path: Path, scheme: str) -> None:
    async def main() -> None:
        origin = Origin(context=OriginCA(tmp_path).context("open.test"))
        mode = "regular" if scheme == "http" else "socks5"
        async with origin.serving(), mitmdump(tmp_path, mode, internal="192.0.2.0/24") as port:
            via = ("--proxy", f"{scheme}://127.0.0.1:{port}")
            refused = await curl(*via, "-k", f"https://far.test:{origin.port}/")
            assert refused.code != 0
            if scheme == "http":
                assert refused.connect_status == 403

    asyncio.run(main())


def test_upstream(tmp_path: Path) -> None:
    async def main() -> None:
        origin = Origin(context=OriginCA(tmp_path).context("open.test", "chat.deepseek.com"))
        async with origin.serving(), Parent().serving() as parent:
            parent.lead_to = {"open.test": origin.port}
            async with mitmdump(tmp_path, f"upstream:http://127.0.0.1:{parent.port}") as port:
                (ours, theirs), via = roots(tmp_path), ("--proxy", f"http://127.0.0.1:{port}")
                blocked = await curl(*via, *ours, f"https://chat.deepseek.com:{origin.port}/")
                assert blocked.status == 403, blocked.complaint
                assert parent.heads == []
                allowed = await curl(*via, *theirs, f"https://open.test:{origin.port}/")
                assert allowed.text == "origin speaking", allowed.complaint
                assert parent.heads[0].startswith(f"CONNECT open.test:{origin.port} ")

    asyncio.run(main())


@pytest.mark.parametrize(("host", "status"), [("chat.deepseek.com", 403), ("open.test", 200)])
def test_reverse(tmp_path: Path, host: str, status: int) -> None:
    async def main() -> None:
        origin = Origin(context=OriginCA(tmp_path).context("open.test", "chat.deepseek.com"))
        async with origin.serving(), mitmdump(tmp_path, f"reverse:https://{host}:{origin.port}") as port:
            answer = await curl("--noproxy", "*", f"http://127.0.0.1:{port}/")
            assert answer.status == status, answer.text
            assert origin.connections == (0 if status == 403 else 1)

    asyncio.run(main())


RULES = """
table ip led {{
  chain out {{
    type nat hook output priority -100;
    ip saddr 127.0.0.5 tcp dport 443 redirect to :{port}
  }}
}}
"""


def test_transparent(tmp_path: Path) -> None:
    """In a network namespace of its own, where the firewall leads what comes from 127.0.0.5 to mitmproxy."""
    if os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("unshare"):
        pytest.skip("needs root, nft and unshare")
    apart(f"import {__name__} as m; m.in_a_namespace({str(tmp_path)!r})")


def apart(program: str) -> None:
    """Run it in a network namespace of its own."""
    process = ["unshare", "--net", sys.executable, "-c", program]

    async def main() -> None:
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}/addon:{ROOT}"}
        inside = await asyncio.create_subprocess_exec(
            *process, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await inside.communicate()
        assert inside.returncode == 0, out.decode()

    asyncio.run(main())


def in_a_namespace(text: str) -> None:
    """What the test above does there."""
    folder = Path(text)

    async def main() -> None:
        await _run("ip", "link", "set", "lo", "up")
        origin = Origin(context=OriginCA(folder).context("open.test", "chat.deepseek.com"))
        async with origin.serving(443), mitmdump(folder, "transparent") as port:
            (folder / "led.nft").write_text(RULES.format(port=port))
            await _run("nft", "-f", str(folder / "led.nft"))
            ours, theirs = roots(folder)
            there = ("--noproxy", "*", "--interface", "127.0.0.5", "--connect-to", "::127.0.0.1:443")
            blocked = await curl(*there, *ours, "https://chat.deepseek.com/")
            assert blocked.status == 403, blocked.complaint
            assert origin.connections == 0
            allowed = await curl(*there, *theirs, "https://open.test/")
            assert allowed.text == "origin speaking", allowed.complaint

    asyncio.run(main())


async def _run(*command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


ELSEWHERE = "192.0.2.80"
"""Where clients of the tunnel find the origin; they have no other way to it."""
FILTER, CLIENT = "10.9.0.1", "10.9.0.2"


def test_wireguard(tmp_path: Path) -> None:
    """A client whose whole traffic goes through a tunnel; its end is WireGuard's own in Go, which needs no kernel's."""
    if os.geteuid() != 0 or not all(shutil.which(program) for program in ("wireguard-go", "wg", "unshare", "nsenter")):
        pytest.skip("needs root, wireguard-go, wg (Debian: wireguard-tools), unshare and nsenter")
    if not Path("/dev/net/tun").exists():
        pytest.skip("needs /dev/net/tun")
    apart(f"import {__name__} as m; m.through_wireguard({str(tmp_path)!r})")


def through_wireguard(text: str) -> None:
    """What the test above does in its namespace; the client has another one."""
    folder = Path(text)

    async def main() -> None:
        await _run("ip", "link", "set", "lo", "up")
        await _run("ip", "address", "add", f"{ELSEWHERE}/32", "dev", "lo")
        authority = OriginCA(folder).context("open.test", "chat.deepseek.com")
        secure, plain = Origin(address=ELSEWHERE, context=authority), Origin(address=ELSEWHERE)
        keys = folder / "keys.json"
        server, client = genkey(), genkey()
        keys.write_text(json.dumps({"server_key": server, "client_key": client}))
        async with (
            secure.serving(443),
            plain.serving(80),
            client_namespace() as within,
            mitmdump(folder, f"wireguard:{keys}", internal="192.0.2.0/24", host=FILTER) as port,
            tunnel(folder, within, client, pubkey(server), port),
        ):
            ours, theirs = roots(folder)

            async def ask(url: str, *words: str) -> tuple[str, str]:
                resolve = (
                    f"{host}:{at}:{ELSEWHERE}" for host in ("open.test", "chat.deepseek.com") for at in (80, 443)
                )
                said = await _run(
                    *within, "curl", "-q", "-sS", "-m", "30", "--noproxy", "*", "-w", " %{http_code}", *words,
                    *(word for each in resolve for word in ("--resolve", each)), url,
                )  # fmt: skip
                return said.rpartition(" ")[0], said.rpartition(" ")[2]

            for url in ("https://chat.deepseek.com/", "http://chat.deepseek.com/"):
                page, status = await ask(url, *ours)
                assert (status, "DeepSeek" in page or "deepseek" in page) == ("403", True), page
            assert (secure.connections, plain.connections) == (0, 0)
            assert await ask("https://open.test/", *theirs) == ("origin speaking", "200"), "the origin's certificate"
            assert await ask("http://open.test/") == ("origin speaking", "200")

    asyncio.run(main())


@asynccontextmanager
async def client_namespace() -> AsyncIterator[tuple[str, ...]]:
    """The words that put a command there; it has a link to this one."""
    holder = await asyncio.create_subprocess_exec(
        "unshare", "--net", "sh", "-c", "echo there; cat",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdout
    try:
        assert await holder.stdout.readline() == b"there\n"
        within = ("nsenter", "--net", "--target", str(holder.pid))
        await _run("ip", "link", "add", "link0", "type", "veth", "peer", "name", "link1", "netns", str(holder.pid))
        for inside, device, address in (((), "link0", FILTER), (within, "link1", CLIENT)):
            await _run(*inside, "ip", "address", "add", f"{address}/24", "dev", device)
            await _run(*inside, "ip", "link", "set", device, "up")
        yield within
    finally:
        await holder.communicate()


@asynccontextmanager
async def tunnel(folder: Path, within: tuple[str, ...], private: str, peer: str, port: int) -> AsyncIterator[None]:
    """The client's end, which all that goes to the origin takes."""
    device = f"wg{os.getpid()}"  # it names a socket, too, which namespaces do not keep apart
    settings = folder / "wg.conf"
    settings.write_text(
        f"[Interface]\nPrivateKey = {private}\n[Peer]\nPublicKey = {peer}\nAllowedIPs = 0.0.0.0/0\n"
        f"Endpoint = {FILTER}:{port}\n"
    )
    process = await asyncio.create_subprocess_exec(
        *within, "wireguard-go", "-f", device, env={"PATH": os.environ["PATH"], "LOG_LEVEL": "verbose"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout
    try:
        said = b""
        while b"UAPI listener started" not in said:
            line = await process.stdout.readline()
            assert line, said.decode()
            said += line
        draining = asyncio.create_task(process.stdout.read())
        await _run(*within, "wg", "setconf", device, str(settings))
        await _run(*within, "ip", "address", "add", f"{INSIDE}/32", "dev", device)
        await _run(*within, "ip", "link", "set", device, "up")
        await _run(*within, "ip", "route", "add", f"{ELSEWHERE}/32", "dev", device)
        yield
    finally:
        process.terminate()
        await process.wait()
    await draining
