"""Tunnels a second through the guard proxy, Squid and bare mitmproxy, in interleaved rounds on the same two cores.

Usage: python benchmarks/proxy.py [ROUNDS] [SECONDS]

Prints one table and puts it into docs/reference/benchmarks.md, between the marks of this script. Needs `cc`; peers that
are not installed (`apt-get install squid-openssl`) are left out of the table. Nothing is left running.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT))

import dns.message  # noqa: E402  # after the path is set, like the others
import dns.rrset  # noqa: E402  # see above
from report import put  # noqa: E402  # see above
from tests.support.proxies import hello  # noqa: E402  # the ClientHello of the tests

NAME = "open.test"
AT_ONCE = 32
IDLE = 1000
SUMUN = """
version: 1
listen:
  dns: {{address: 127.0.0.1, port: {ports[0]}}}
  proxy: {{address: 127.0.0.1, port: {ports[1]}, workers: {workers}}}
  pages: {{address: 127.0.0.1, address6: null, http: {ports[2]}, https: {ports[3]}}}
  console: {{address: 127.0.0.1, port: {ports[4]}}}
upstreams: ["udp://127.0.0.1:{resolver}"]
destinations: {{internal: [127.0.0.0/8]}}
state: {state}
segments:
  bench:
    networks: [127.0.0.0/8]
{proxy}    rules: [{{id: no-generative-ai, action: block, categories: ["*"]}}]
"""
PORTS_SETTING = "    proxy: {{connect_ports: [443, {origin}], other_protocols: allow}}\n"
SQUID = """
http_port 127.0.0.1:{port}
acl allowed port 443 {origin}
http_access deny !allowed
http_access allow all
hosts_file {hosts}
cache deny all
access_log none
cache_log {folder}/cache.log
pid_filename none
coredump_dir {folder}
shutdown_lifetime 0 seconds
pinger_enable off
workers 1
"""


@dataclass
class Peer:
    """A proxy that runs, and what was measured of it: for each case the rate of each round and CPU time a piece."""

    name: str
    port: int
    pid: int
    target: str
    rates: dict[str, list[float]] = field(default_factory=dict)
    costs: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """Everything that rounds share."""

    folder: Path
    loader: Path
    origin: int

    def load(self, peer: Peer, mode: str, target: str, at_once: int, seconds: float) -> tuple[int, int, float, int]:
        command = [str(self.loader), mode, str(peer.port), target, str(at_once), str(seconds)]
        hello_file = self.folder / "hello"
        if mode in ("tunnels", "idle"):
            command.append(str(hello_file))
        said = subprocess.run(on_core(1, command), capture_output=True, text=True, check=False).stdout
        done, failed, took, octets = said.split()
        return int(done), int(failed), float(took), int(octets)

    def measure(self, peer: Peer, case: str, seconds: float) -> None:
        mode, target = case, peer.target
        if case == "refused":
            target = "203.0.113.1:25"  # a port and a network that both refuse
        before = cpu(peer.pid)
        done, failed, took, octets = self.load(peer, mode, target, 1 if mode == "bulk" else AT_ONCE, seconds)
        spent = cpu(peer.pid) - before
        if failed > max(5, done // 100):
            raise SystemExit(f"{peer.name}: {case}: {failed} of {failed + done} failed")
        amount = octets / 1e6 if mode == "bulk" else done
        peer.rates.setdefault(case, []).append(amount / took)
        peer.costs.setdefault(case, []).append(spent / max(amount, 1) * 1e6)

    def idle(self, peer: Peer) -> None:
        before = resident(peer.pid)
        command = [str(self.loader), "idle", str(peer.port), peer.target, str(IDLE), "8", str(self.folder / "hello")]
        loading = subprocess.Popen(on_core(1, command), stdout=subprocess.PIPE, text=True)
        time.sleep(7)
        peer.rates["idle"] = [(resident(peer.pid) - before) / 1e6]
        said, _ = loading.communicate()
        if int(said.split()[0]) != IDLE:
            print(f"{peer.name}: only {said.split()[0]} of {IDLE} idle tunnels were opened", file=sys.stderr)


def on_core(number: int, command: list[str]) -> list[str]:
    """Keep proxies and their load on cores of their own, where there are two."""
    return ["taskset", "-c", str(number), *command] if (os.cpu_count() or 1) > 1 else command


def family(pid: int) -> Iterator[int]:
    """A process and everything below it."""
    yield pid
    with suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))


def cpu(pid: int) -> float:
    """Seconds of CPU that a process and its children have used."""
    fields = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in family(pid)]
    return sum(int(field[11]) + int(field[12]) for field in fields) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    """Octets of memory."""
    pages = sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_ports(count: int) -> list[int]:
    with ExitStack() as open_:
        found = [open_.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]


@contextmanager
def running(command: list[str], port: int, core: int, log: Path) -> Iterator[int]:
    """A program that is ready when it accepts connections."""
    with log.open("wb") as out:
        process = subprocess.Popen(on_core(core, command), stdout=out, stderr=out)
    try:
        for _ in range(300):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        else:
            raise SystemExit(f"`{command[0]}` does not listen: {log.read_text()[-1000:]}")
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def resolver() -> Iterator[int]:
    """Knows one name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def serve() -> None:
            with suppress(OSError):
                while True:
                    wire, client = sock.recvfrom(4096)
                    query = dns.message.from_wire(wire)
                    reply = dns.message.make_response(query, recursion_available=True)
                    if query.question[0].rdtype == dns.rdatatype.A:
                        reply.answer.append(dns.rrset.from_text(query.question[0].name, 300, "IN", "A", "127.0.0.1"))
                    sock.sendto(reply.to_wire(), client)

        threading.Thread(target=serve, daemon=True).start()
        yield sock.getsockname()[1]


@contextmanager
def sumun(bench: Bench, resolver_port: int, workers: int = 1) -> Iterator[Peer]:
    ports = free_ports(5)
    folder = bench.folder / f"sumun-{workers}"
    folder.mkdir()
    config = folder / "sumun.yaml"
    proxy = PORTS_SETTING.format(origin=bench.origin) if "connect_ports" in _schema() else ""
    config.write_text(
        SUMUN.format(ports=ports, resolver=resolver_port, state=folder / "state", proxy=proxy, workers=workers)
    )
    command = [sys.executable, "-m", "sumun", "proxy", "-c", str(config)]
    with running(command, ports[1], 0, folder / "log") as pid:
        yield Peer("Sumun" if workers == 1 else f"Sumun, {workers} workers", ports[1], pid, f"{NAME}:{bench.origin}")


def _schema() -> str:
    return json.dumps(json.loads((ROOT / "config/schema.json").read_text()))


@contextmanager
def squid(bench: Bench) -> Iterator[Peer]:
    (port,) = free_ports(1)
    folder = bench.folder / "squid"
    folder.mkdir()
    (folder / "hosts").write_text(f"127.0.0.1 {NAME}\n")
    config = folder / "squid.conf"
    config.write_text(SQUID.format(port=port, origin=bench.origin, hosts=folder / "hosts", folder=folder))
    for path in (bench.folder, folder):
        path.chmod(0o777)
    with running(["squid", "-N", "-f", str(config)], port, 0, folder / "out") as pid:
        yield Peer("Squid", port, pid, f"{NAME}:{bench.origin}")


@contextmanager
def mitmproxy(bench: Bench) -> Iterator[Peer]:
    (port,) = free_ports(1)
    program = str(Path(sys.executable).with_name("mitmdump"))
    command = [program, "-q", "--listen-host", "127.0.0.1", "-p", str(port), "--ignore-hosts", ".*",
               "--set", f"confdir={bench.folder / 'mitmproxy'}"]  # fmt: skip
    with running(command, port, 0, bench.folder / "mitmproxy.out") as pid:
        yield Peer("mitmproxy, `ignore_hosts`", port, pid, f"127.0.0.1:{bench.origin}")


CASES = ("tunnels", "refused", "bulk")
TITLES = {"tunnels": "CONNECT tunnels/s", "refused": "refused CONNECT/s", "bulk": "one tunnel, MB/s"}


def main(rounds: int, seconds: float) -> None:
    with ExitStack() as open_:
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        loader = folder / "tunnel_load"
        subprocess.run(["cc", "-O2", "-o", str(loader), str(ROOT / "benchmarks/tunnel_load.c")], check=True)
        (folder / "hello").write_bytes(hello(NAME, "h2", "http/1.1"))
        (origin,) = free_ports(1)
        bench = Bench(folder, loader, origin)
        open_.enter_context(running([str(loader), "origin", str(origin)], origin, 1, folder / "origin.out"))
        names = open_.enter_context(resolver())
        peers = [open_.enter_context(sumun(bench, names))]
        if shutil.which("squid"):
            peers.append(open_.enter_context(squid(bench)))
        peers.append(open_.enter_context(mitmproxy(bench)))
        for _ in range(rounds):
            for case in CASES:
                for peer in peers:
                    if case != "refused" or not peer.name.startswith("mitmproxy"):
                        bench.measure(peer, case, seconds)
        for peer in peers:
            bench.idle(peer)
        table = report(peers, rounds, seconds)
    print(table)
    put("proxy.py", "Proxy: `make bench-proxy`", table)


def report(peers: list[Peer], rounds: int, seconds: float) -> str:
    ours = peers[0]
    lines = [
        f"Medians of {rounds} interleaved rounds of {seconds:g} s; {AT_ONCE} connections at once; {os.cpu_count()} "
        "cores, the proxy on one, load and origin on the other. In brackets: CPU time of the proxy for one, which says "
        "more than the rate where the machine has other work to do; "
        f"its load was {os.getloadavg()[1]:.1f} while this was measured.",
        "",
        f"| | {' | '.join(peer.name for peer in peers)} | {' | '.join(f'ratio to {p.name}' for p in peers[1:])} |",
        "|---" * (2 * len(peers)) + "|",
    ]  # fmt: skip
    for case in CASES:
        cells = [_cell(peer, case) for peer in peers]
        ratios = [f"{_median(ours, case) / _median(p, case):.2f}" if case in p.rates else "" for p in peers[1:]]
        lines.append("| " + " | ".join([TITLES[case], *cells, *ratios]) + " |")
    idle = [f"{peer.rates['idle'][0]:.1f}" for peer in peers]
    lines.append("| " + " | ".join([f"MB more with {IDLE} idle tunnels", *idle, *([""] * (len(peers) - 1))]) + " |")
    return "\n".join(lines)


def _median(peer: Peer, case: str) -> float:
    return statistics.median(peer.rates[case])


def _cell(peer: Peer, case: str) -> str:
    if case not in peer.rates:
        return ""
    unit = "µs/MB" if case == "bulk" else "µs"
    return f"{_median(peer, case):,.0f} ({statistics.median(peer.costs[case]):,.0f} {unit})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5, float(sys.argv[2]) if sys.argv[2:] else 3)
