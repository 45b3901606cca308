"""Starting, stopping, and running inside a mitmproxy of somebody else."""

from __future__ import annotations

import asyncio
import socket
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from sumun.config.settings import Listen, Listener, PagesListener, Settings
from sumun.proxy.ca import CaFault
from sumun.proxy.listening import ProxyFault
from tests.support.builders import DEEPSEEK, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import LOOPBACK, curl, filtering
from tests.support.running import free_ports

pytestmark = pytest.mark.integration

POLICY = policy(segment("hq", "127.0.0.1/32", rules=[rule("no-ai", "block", categories=["*"])]), services=[DEEPSEEK])


def test_a_taken_port_is_said_with_address_and_remedy(tmp_path: Path) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            free = Listener(LOOPBACK, 0)
            pages = PagesListener(LOOPBACK, None, 0, port)
            listen = Listen(dns=free, proxy=free, pages=pages, console=free)
            with pytest.raises(ProxyFault, match=f"`127.0.0.1` port `{port}`: another program"):
                async with filtering(tmp_path, POLICY, settings=Settings(listen, (), tmp_path)):
                    pass

    asyncio.run(main())


def test_pages_are_served_on_every_address_that_the_sinkhole_answers_with(tmp_path: Path) -> None:
    async def main() -> None:
        further = ip_address("127.0.0.84")
        free, pages = Listener(LOOPBACK, 0), PagesListener(LOOPBACK, None, 0, 0, further=(further,))
        listen = Listen(dns=free, proxy=free, pages=pages, console=free)
        async with filtering(tmp_path, POLICY, settings=Settings(listen, (), tmp_path)) as filter_:
            served = [address for address in filter_.proxy.addresses if address[0] == str(further)]
            assert len(served) == 2, "over HTTP and over HTTPS"
            connect = f"chat.deepseek.com:80:{further}:{served[0][1]}"
            answer = await curl("--noproxy", "*", "--connect-to", connect, "http://chat.deepseek.com/")
            assert answer.status == 403

    asyncio.run(main())


def test_a_key_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
        with pytest.raises(ProxyFault, match="SSLKEYLOGFILE"):
            async with filtering(tmp_path, POLICY):
                pass

    asyncio.run(main())


def test_a_lost_key_is_not_replaced(tmp_path: Path) -> None:
    async def main() -> None:
        async with filtering(tmp_path, POLICY):
            pass
        (tmp_path / "ca" / "mitmproxy-ca.pem").unlink()
        with pytest.raises(CaFault, match="restore"):
            async with filtering(tmp_path, POLICY):
                pass
        assert not (tmp_path / "ca" / "mitmproxy-ca.pem").exists()

    asyncio.run(main())


def test_a_stop_ends_tunnels_and_requests_and_frees_the_ports(tmp_path: Path) -> None:
    async def main() -> None:
        async with filtering(tmp_path, POLICY) as filter_:
            port = filter_.port
            half = await asyncio.open_connection("127.0.0.1", port)
            half[1].write(b"CONNECT open.test")
            await asyncio.sleep(0)
        async with asyncio.timeout(60):
            assert await half[0].read() == b""
        half[1].close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)

    asyncio.run(main())


SCRIPT = """
import sys
from ipaddress import ip_address
from pathlib import Path
from prometheus_client import CollectorRegistry
from sumun.model.organisation import Organisation
from sumun.pages.render import render
from sumun.proxy.parts import Parts
from sumun.proxy.server import standalone_addons
from sumun.proxy.shim import Shim
from sumun.telemetry.metrics import Metrics
from tests.integration.test_proxy_lifecycle import POLICY
from tests.support.builders import NOON
from tests.support.proxies import FakeResolver, AwaitedEvents, loopback_settings

def build(path):
    folder = path.parent
    return standalone_addons(Parts(
        settings=loopback_settings(folder, folder / "origin-ca.pem"), policy=lambda: POLICY, organisation=Organisation,
        events=AwaitedEvents(), metrics=Metrics(CollectorRegistry()), pages=render, ca_folder=folder / "ca",
        resolver=FakeResolver({"open.test": "127.0.0.1", "chat.deepseek.com": "127.0.0.1", "inside.test": "10.0.0.1"}),
        clock=lambda: NOON,
    ))

addons = [Shim(build)]
"""


def test_mitmdump_loads_it(tmp_path: Path) -> None:
    """The real program, with the hooks doing the gate's work."""

    async def main() -> None:
        authority, (port,) = OriginCA(tmp_path), free_ports(1)
        (tmp_path / "script.py").write_text(SCRIPT)
        origin = Origin(context=authority.context("open.test", "chat.deepseek.com"))
        root = str(Path(__file__).parents[2])
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("mitmdump")), "--listen-host", "127.0.0.1", "-p", str(port),
            "-s", str(tmp_path / "script.py"), "--set", f"sumun_config={tmp_path / 'sumun.yaml'}",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={
                "PATH": "/usr/bin:/bin", "PYTHONPATH": f"{root}/addon:{root}", "HOME": str(tmp_path),
                "PYTHONUNBUFFERED": "1",
            },
        )  # fmt: skip
        output = process.stdout
        assert output
        try:
            async with origin.serving(), asyncio.timeout(90):
                said = b""
                while b"listening" not in said:
                    line = await output.readline()
                    assert line, said.decode()
                    said += line
                proxy = ("--proxy", f"http://127.0.0.1:{port}")
                ours = ("--cacert", str(tmp_path / "ca" / "mitmproxy-ca-cert.pem"))
                blocked = await curl(*proxy, *ours, f"https://chat.deepseek.com:{origin.port}/")
                assert (blocked.status, blocked.version) == (403, "2"), blocked.complaint
                assert (await curl(*proxy, f"http://chat.deepseek.com:{origin.port}/")).status == 403
                assert origin.connections == 0
                theirs = ("--cacert", str(authority.path))
                allowed = await curl(*proxy, *theirs, f"https://open.test:{origin.port}/")
                assert (allowed.status, allowed.text) == (200, "origin speaking"), allowed.complaint
                inside = await curl(*proxy, "http://inside.test/")
                assert inside.status == 502
        finally:
            process.terminate()
            await process.communicate()

    asyncio.run(main())
