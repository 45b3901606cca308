"""A host whose only resolver is Sumun: its own subscriptions do not wait for themselves."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import configs
from tests.support.dns_servers import serving as resolver
from tests.support.dns_servers import zone
from tests.support.list_server import ListServer, list_server, names, serving
from tests.support.netns import Net, need_namespaces
from tests.support.origins import OriginCA
from tests.support.running import started

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("namespaces")]
ZONE = zone(["lists.example. 60 IN A 127.0.0.1", "plain.example. 60 IN A 192.0.2.7", "n7.example. 60 IN A 192.0.2.8"])
LOOK_UP = "import socket, sys; print(socket.getaddrinfo(sys.argv[1], 443, socket.AF_INET)[0][4][0])"


@contextmanager
def lonely_host() -> Iterator[tuple[Net, str]]:
    """A namespace with nothing but loopback, and Sumun's address in /etc/resolv.conf."""
    net = Net(f"{os.getpid()}o")
    try:
        name = net.add("alone")
        (Path("/etc/netns") / name / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
        yield net, name
    finally:
        net.remove()


@contextmanager
def outside(namespace: str, folder: Path) -> Iterator[tuple[ListServer, int]]:
    """A list server with the certificate of lists.example and a resolver that knows it, inside the namespace."""
    context = OriginCA(folder).context("lists.example", alpn=("http/1.1",))
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    found: list[tuple[ListServer, int]] = []

    async def serve() -> None:
        async with list_server(serving(names(200)), context) as server, resolver(ZONE) as fake:
            found.append((server, fake.port))
            ready.set()
            await stop.wait()

    def live_there() -> None:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        os.setns(handle, os.CLONE_NEWNET)  # of this thread alone
        os.close(handle)
        loop.run_until_complete(serve())

    thread = threading.Thread(target=live_there)
    thread.start()
    try:
        assert ready.wait(30)
        yield found[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()


def test_lists_arrive_where_the_only_resolver_is_sumun_itself(tmp_path: Path) -> None:
    need_namespaces()
    with lonely_host() as (net, name), outside(name, tmp_path) as (server, resolver_port):
        config = configs.variant(
            state=str(tmp_path / "state"),
            upstreams=[f"udp://127.0.0.1:{resolver_port}"],
            upstream_ca=str(tmp_path / "origin-ca.pem"),
            listen={
                "dns": {"address": "127.0.0.1", "port": 53},
                "proxy": {"address": "127.0.0.1", "port": 8080},
                "pages": {"address": "127.0.0.1", "http": 8081, "https": 8443},
                "console": {"address": "127.0.0.1", "port": 8090},
            },
            rules=[{"id": "listed", "action": "block", "lists": ["far"]}],
            lists=[{"id": "far", "url": f"https://lists.example:{server.port}/list.txt"}],
        )
        path = configs.write(tmp_path / "sumun.yaml", config)

        def looked_up(host: str) -> str:
            command = net.command("alone", sys.executable, "-c", LOOK_UP, host)
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

        with started(
            path, state=tmp_path / "state", console="http://127.0.0.1:8090", prefix=net.command("alone")
        ) as running:
            running.await_said("list `far` is updated: 200 entries, 0 before")
            said = list(running.said)
            if any(
                "dns-0" in line and "no copy of this list" in line for line in said
            ):  # it began before the copy came
                first = next(number for number, line in enumerate(said) if "dns-0: policy" in line)
                running.await_said("dns-0: policy", after=first + 1)
            assert server.asked[0][1]["host"].startswith("lists.example")
            assert looked_up("plain.example") == "192.0.2.7"
            assert looked_up("n7.example") == "127.0.0.1"
