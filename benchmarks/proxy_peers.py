"""The proxies that benchmarks/proxy.py compares, and the network between them: processes of this machine alone."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dns.message
import dns.rrset

OPEN = "open.test"
"""A name that policy lets pass unseen."""
BLOCKED = "chat.deepseek.com"
INSPECTED = "chatgpt.com"
"""A name whose requests have to be looked into, and are let pass."""
ORIGIN = "10.77.0.1"
"""In the network of transparent clients, on port 443."""
IDLE_TUNNELS = 1000
STRANGER = "127.0.0.9"
"""A client that no proxy serves."""
_SUMUN = """
version: 1
listen:
  dns: {{address: 127.0.0.1, port: {ports[0]}}}
  proxy: {{address: 127.0.0.1, port: {ports[1]}, workers: {workers}}}
  pages: {{address: 127.0.0.1, address6: null, http: {ports[2]}, https: {ports[3]}}}
  console: {{address: 127.0.0.1, port: {ports[4]}}}
  transparent: {{address: 127.0.0.1, port: {ports[5]}, leading: redirect}}
upstreams: ["udp://127.0.0.1:{resolver}"]
upstream_ca: {authority}
destinations: {{internal: [127.0.0.0/8, 10.77.0.0/24]}}
state: {state}
segments:
  bench:
    networks: [127.0.0.1/32, 10.77.0.0/24]
    rules:
      - id: no-deepseek
        action: block
        services: [deepseek]
        reason: {{en: "Decided by the board.", ko: "이사회에서 결정했습니다."}}
      - {{id: no-old-models, action: block, services: [chatgpt], models: ["gpt-3*"]}}
"""
_SQUID = """
acl served src 127.0.0.1/32 10.77.0.0/24
acl allowed port 443 {origin}
http_access deny !served
http_access deny !allowed
http_access allow all
hosts_file {hosts}
http_port 127.0.0.1:{ports[0]}
{more}
cache deny all
access_log none
cache_log {folder}/cache.log
pid_filename none
coredump_dir {folder}
shutdown_lifetime 0 seconds
pinger_enable off
workers 1
"""
_PEEK = """
https_port 127.0.0.1:{port} intercept ssl-bump generate-host-certificates=off tls-cert={certificate}
acl first_step at_step SslBump1
ssl_bump peek first_step
ssl_bump splice all
"""
_REDIRECT = """
table ip bench {{
  chain out {{
    type nat hook output priority -100
    ip saddr 10.77.0.9 tcp dport 443 redirect to :{0}
    ip saddr 10.77.0.10 tcp dport 443 redirect to :{1}
  }}
}}
"""


@dataclass
class Peer:
    """A proxy that runs, and what was measured of it: for each case the rate of each round and CPU time a piece."""

    name: str
    port: int
    pid: int
    network: int | None = None
    """Descriptor of the network it is in, where that is not everybody's."""
    here: str = "127.0.0.1"
    """Address that its clients come from."""
    led: int = 0
    """Port that transparent clients are led to."""
    rates: dict[str, list[float]] = field(default_factory=dict)
    costs: dict[str, list[float]] = field(default_factory=dict)


def on_core(core: int | None, command: list[str]) -> list[str]:
    """Keep proxies and their load on cores of their own, where there are two."""
    several = core is not None and (os.cpu_count() or 1) > 1
    return ["taskset", "-c", str(core), *command] if several else command


def family(pid: int) -> Iterator[int]:
    """A process and everything below it."""
    yield pid
    with suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def cpu(pid: int) -> float:
    """Seconds of CPU that a process and its children have used."""
    tasks = (task for each in family(pid) for task in Path(f"/proc/{each}/task").iterdir())
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def resident(pid: int) -> int:
    """Octets of memory."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_ports(count: int) -> list[int]:
    """Ports below those that the system gives to clients, which would take one before its server is up."""
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 1000):
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise SystemExit("there are no free ports")


@contextmanager
def running(command: list[str], address: tuple[str, int], core: int | None, log: Path) -> Iterator[int]:
    """A program that is ready when it accepts connections."""
    with log.open("wb") as out:
        process = subprocess.Popen(on_core(core, command), stdout=out, stderr=out)
    try:
        for _ in range(1200):
            with suppress(OSError), socket.create_connection(address, 1):
                break
            time.sleep(0.1)
        else:
            raise SystemExit(f"`{command[0]}` does not listen: {log.read_text()[-1000:]}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def resolver(address: str) -> Iterator[int]:
    """Answers every name by one address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            with suppress(OSError):
                while True:
                    wire, client = sock.recvfrom(4096)
                    query = dns.message.from_wire(wire)
                    reply = dns.message.make_response(query, recursion_available=True)
                    if query.question[0].rdtype == dns.rdatatype.A:
                        reply.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", address))
                    sock.sendto(reply.to_wire(), client)

        threading.Thread(target=serve, daemon=True).start()
        yield sock.getsockname()[1]


@contextmanager
def sumun(folder: Path, resolver_port: int, authority: Path, *, workers: int = 1) -> Iterator[Peer]:
    """One worker on the first core, several on all."""
    ports = free_ports(6)
    folder.mkdir()
    config = folder / "sumun.yaml"
    config.write_text(
        _SUMUN.format(ports=ports, resolver=resolver_port, state=folder / "state", workers=workers, authority=authority)
    )
    command = [sys.executable, "-m", "sumun", "proxy", "-c", str(config)]
    with running(command, ("127.0.0.1", ports[1]), 0 if workers == 1 else None, folder / "log") as pid:
        yield Peer("Sumun", ports[1], pid, led=ports[5])


@contextmanager
def squid(folder: Path, origin: int, address: str, certificate: Path | None = None) -> Iterator[Peer]:
    """With a certificate it peeks at and splices what is led to it."""
    ports = free_ports(2)
    folder.mkdir()
    hosts, config = folder / "hosts", folder / "squid.conf"
    hosts.write_text(f"{address} {OPEN}\n")
    more = _PEEK.format(port=ports[1], certificate=certificate) if certificate else ""
    config.write_text(_SQUID.format(ports=ports, origin=origin, hosts=hosts, folder=folder, more=more))
    for path in (folder.parent, folder):
        path.chmod(0o777)  # it gives up its rights
    with running(["squid", "-N", "-f", str(config)], ("127.0.0.1", ports[0]), 0, folder / "out") as pid:
        yield Peer("Squid", ports[0], pid, led=ports[1])


@contextmanager
def mitmproxy(folder: Path, name: str, *options: str) -> Iterator[Peer]:
    (port,) = free_ports(1)
    folder.mkdir()
    program = str(Path(sys.executable).with_name("mitmdump"))
    command = [program, "-q", "--listen-host", "127.0.0.1", "-p", str(port), "--set", f"confdir={folder}", *options]
    with running(command, ("127.0.0.1", port), 0, folder / "out") as pid:
        yield Peer(name, port, pid)


@contextmanager
def own_network() -> Iterator[int | None]:
    """A network of loopback alone, where connections can be redirected without touching this machine's; None: not here.

    Whatever is started inside this context is in it.
    """
    if os.geteuid() or not (shutil.which("nft") and shutil.which("ip")):
        print("no row for transparent clients: that needs root, `ip` and `nft`", file=sys.stderr)
        yield None
        return
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    os.unshare(os.CLONE_NEWNET)
    inside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        for address in (ORIGIN, "10.77.0.9", "10.77.0.10"):
            subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
        yield inside
    finally:
        os.setns(outside, os.CLONE_NEWNET)
        os.close(outside)
        os.close(inside)


@contextmanager
def moved_to(network: int | None) -> Iterator[None]:
    """What is started meanwhile is in that network."""
    if network is None:
        yield
        return
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    os.setns(network, os.CLONE_NEWNET)
    try:
        yield
    finally:
        os.setns(before, os.CLONE_NEWNET)
        os.close(before)


def lead(first: Peer, second: Peer) -> None:
    """Redirect the connections of two clients, each to its own proxy; call it in their network."""
    rules = _REDIRECT.format(first.led, second.led)
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    first.here, second.here = "10.77.0.9", "10.77.0.10"
