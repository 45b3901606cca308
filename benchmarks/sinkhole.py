"""Sumun beside its peers: queries a second, one server process each, asked by dnsperf on loopback.

Usage: python benchmarks/sinkhole.py [--rounds N] [--seconds S] [--names N]; writes docs/reference/benchmarks.md

Every peer that is installed takes part, with the same names blocked. All servers run at once, and the rounds are
interleaved, so that what else the machine does hits each of them alike; the table gives medians. Every server is
asked everything once before the first round. Sumun runs as it is delivered: decision log and metrics on.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from report import put

CLIENTS = 10
PROBE = "first.blocked.example"


@dataclass
class Server:
    """A server under test, with its files in a folder of its own."""

    name: str
    command: list[str]
    version: list[str]
    port: int
    process: subprocess.Popen[bytes] | None = None
    rates: dict[str, list[float]] = field(default_factory=dict)
    costs: dict[str, list[float]] = field(default_factory=dict)
    """Microseconds of processor time for each query."""
    lost: int = 0

    def megabytes(self) -> float:
        """Resident memory of the process and those it started."""
        pids = [self.process.pid, *children(self.process.pid)] if self.process else []
        return sum(resident(pid) for pid in pids) / 2**20


def children(pid: int) -> list[int]:
    with suppress(OSError):
        direct = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [p for child in direct for p in (child, *children(child))]
    return []


def processor_time(server: Server) -> float:
    """Seconds that the server's processes have computed so far."""
    ticks = 0
    for pid in [server.process.pid, *children(server.process.pid)] if server.process else []:
        with suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def free_port() -> int:
    """A port below those that the kernel gives to clients, free for UDP and TCP."""
    while True:
        port = random.randrange(15_000, 30_000)
        with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", port))
            tcp.bind(("127.0.0.1", port))
            return port


def blocked_names(count: int) -> list[str]:
    return [PROBE, *(f"host-{number}.blocked-{number % 977}.example" for number in range(count - 1))]


def rpz(names: list[str]) -> str:
    head = "$TTL 30\n@ SOA localhost. root.localhost. 1 3600 600 86400 30\n@ NS localhost.\n"
    return head + "".join(f"{name} CNAME .\n*.{name} CNAME .\n" for name in names)


def sumun(folder: Path, port: int, names: list[str]) -> Server:
    (folder / "names").write_text("".join(f"{name}\n" for name in names))
    (folder / "sumun.yaml").write_text(f"""
version: 1
listen:
  dns: {{address: 127.0.0.1, port: {port}}}
upstreams: ["udp://127.0.0.1:{upstream_port}"]
state: {folder / "state"}
lists: [{{id: bench, path: {folder / "names"}, format: domains}}]
segments:
  bench:
    networks: [127.0.0.0/8]
    dns: {{answer: nxdomain, ttl: 30}}
    rules: [{{id: blocked, action: block, lists: [bench]}}]
""")
    run = [sys.executable, "-m", "sumun"]
    return Server("Sumun", [*run, "dns", "-c", str(folder / "sumun.yaml")], [*run, "--version"], port)


def unbound(folder: Path, port: int, names: list[str]) -> Server:
    (folder / "rpz").write_text(rpz(names))
    (folder / "conf").write_text(f"""
server:
  interface: 127.0.0.1
  port: {port}
  num-threads: 1
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{folder}"
  module-config: "respip validator iterator"
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@{upstream_port}
rpz:
  name: "rpz.example."
  zonefile: "{folder / "rpz"}"
remote-control:
  control-enable: no
""")
    return Server("Unbound, RPZ", ["unbound", "-d", "-c", str(folder / "conf")], ["unbound", "-V"], port)


def bind(folder: Path, port: int, names: list[str]) -> Server:
    (folder / "rpz").write_text(rpz(names))
    (folder / "conf").write_text(f"""
options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/key"; managed-keys-directory "{folder}";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  forwarders {{ 127.0.0.1 port {upstream_port}; }}; forward only; dnssec-validation no;
  response-policy {{ zone "rpz.example"; }} qname-wait-recurse no;
}};
controls {{ }};
zone "rpz.example" {{ type primary; file "{folder}/rpz"; allow-query {{ none; }}; }};
""")
    return Server("BIND, RPZ", ["named", "-f", "-n", "1", "-c", str(folder / "conf")], ["named", "-v"], port)


def dnsmasq(folder: Path, port: int, names: list[str]) -> Server:
    (folder / "conf").write_text("".join(f"local=/{name}/\n" for name in names))
    command = ["dnsmasq", "-k", f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv"]
    command += ["--no-hosts", "--pid-file=", "--user=root", "--cache-size=10000", f"--conf-file={folder / 'conf'}"]
    command += [f"--server=127.0.0.1#{upstream_port}"]
    return Server("dnsmasq", command, ["dnsmasq", "-v"], port)


def powerdns(folder: Path, port: int, names: list[str]) -> Server:
    (folder / "rpz").write_text(rpz(names))
    (folder / "lua").write_text(f'rpzFile("{folder}/rpz", {{policyName="bench"}})\n')
    command = ["pdns_recursor", "--daemon=no", f"--local-port={port}", "--local-address=127.0.0.1", "--threads=1"]
    command += [f"--socket-dir={folder}", f"--config-dir={folder}", f"--lua-config-file={folder}/lua", "--quiet=yes"]
    command += [f"--forward-zones-recurse=.=127.0.0.1:{upstream_port}", "--loglevel=0", "--dnssec=off"]
    return Server("PowerDNS Recursor, RPZ", command, ["pdns_recursor", "--version"], port)


def knot(folder: Path, port: int, names: list[str]) -> Server:
    (folder / "rpz").write_text(rpz(names))
    (folder / "conf").write_text(f"""
net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})
modules = {{ 'policy' }}
trust_anchors.remove('.')
policy.add(policy.rpz(policy.DENY, '{folder}/rpz'))
policy.add(policy.all(policy.FORWARD('127.0.0.1@{upstream_port}')))
cache.size = 100 * MB
""")
    command = ["kresd", "-n", "-c", str(folder / "conf"), str(folder)]
    return Server("Knot Resolver, RPZ", command, ["kresd", "-V"], port)


PEERS: dict[str, Callable[[Path, int, list[str]], Server]] = {
    "unbound": unbound,
    "named": bind,
    "dnsmasq": dnsmasq,
    "pdns_recursor": powerdns,
    "kresd": knot,
}
upstream_port = 0
"""Where every server forwards what it does not block."""

ANSWERING = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(sys.argv[1])))
while True:
    query, peer = sock.recvfrom(4096)
    end = query.index(0, 12) + 5
    record = bytes.fromhex("c00c00010001000151800004c0000250")
    sock.sendto(query[:2] + bytes.fromhex("81800001000100000000") + query[12:end] + record, peer)
"""
"""An upstream that knows an address for everything."""


@contextmanager
def serving(servers: list[Server]) -> Iterator[list[Server]]:
    """Start them, and go on with those that answer."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    upstream = subprocess.Popen([sys.executable, "-c", ANSWERING, str(upstream_port)])
    try:
        for server in servers:
            server.process = subprocess.Popen(server.command, **quiet)  # type: ignore[call-overload]  # two of its keywords
        yield [server for server in servers if answers(server)]
    finally:
        for process in (upstream, *(server.process for server in servers)):
            if process:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
                process.kill()


def answers(server: Server) -> bool:
    probe = ["dig", "-p", str(server.port), "@127.0.0.1", PROBE, "+tries=1", "+time=2"]
    for _ in range(150):
        if server.process and server.process.poll() is not None:
            break
        if "status: NXDOMAIN" in subprocess.run(probe, capture_output=True, text=True, check=False).stdout:
            return True
        time.sleep(0.2)  # a port where nobody listens yet refuses at once
    print(f"{server.name} does not answer and is left out", file=sys.stderr)
    return False


def dnsperf(server: Server, queries: Path, *limits: str) -> float:
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", str(queries), "-c", str(CLIENTS), *limits]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    server.lost += int(re.findall(r"Queries lost: +(\d+)", report)[0])
    return float(re.findall(r"Queries per second: +([\d.]+)", report)[0])


def measure(servers: list[Server], loads: dict[str, Path], rounds: int, seconds: int) -> None:
    for load, queries in loads.items():
        for server in servers:
            dnsperf(server, queries, "-n", "1")
        for _ in range(rounds):
            for server in servers:
                before = processor_time(server)
                rate = dnsperf(server, queries, "-l", str(seconds))
                server.rates.setdefault(load, []).append(rate)
                cost = (processor_time(server) - before) * 1e6 / (rate * seconds)
                server.costs.setdefault(load, []).append(cost)


def version_of(server: Server) -> str:
    done = subprocess.run(server.version, capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+[\w.+-]*", done.stdout + done.stderr)
    return found[0] if found else "?"


def table(servers: list[Server], loads: dict[str, Path]) -> str:
    ours, *peers = servers
    lines = [f"| server | version | {' | '.join(f'{load}, q/s | Sumun is | µs each' for load in loads)} | lost | MB |"]
    lines.append("|---" * (4 + 3 * len(loads)) + "|")
    for server in (ours, *sorted(peers, key=lambda s: -statistics.median(s.rates["blocked"]))):
        cells = []
        for load in loads:
            rate = statistics.median(server.rates[load])
            ratio = "" if server is ours else f"{statistics.median(ours.rates[load]) / rate:.2f} ×"
            cells.append(f"{rate:,.0f} | {ratio} | {statistics.median(server.costs[load]):.1f}")
        tail = f"{server.lost} | {server.megabytes():.0f}"
        lines.append(f"| {server.name} | {version_of(server)} | {' | '.join(cells)} | {tail} |")
    return "\n".join(lines)


def page(servers: list[Server], loads: dict[str, Path], options: argparse.Namespace, load_average: float) -> str:
    today = datetime.now(UTC)  # noqa: TID251 - a program that is run by hand
    names = f"{options.names:,} blocked names, {options.allowed:,} allowed names answered from cache"
    return f"""\
{today:%Y-%m-%d}, {platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores, \
Python {platform.python_version()}. Load average of the machine before the run: {load_average:.1f}\
. {names}; dnsperf over UDP on loopback with {CLIENTS} clients; one server process each, \
one thread; medians of {options.rounds} interleaved rounds of {options.seconds} s. Sumun counts every query and logs \
every attempt. "µs each" is the processor time of the server for each query, user and system, which other programs \
on the machine disturb less than the rate.

{table(servers, loads)}
"""


def main() -> None:
    global upstream_port
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--allowed", type=int, default=2_000)
    options = parser.parse_args()
    load_average, upstream_port = os.getloadavg()[0], free_port()
    with tempfile.TemporaryDirectory() as base:
        blocked = blocked_names(options.names)
        allowed = [f"www.allowed-{number}.example" for number in range(options.allowed)]
        loads = {"allowed": Path(base, "allowed"), "blocked": Path(base, "blocked")}
        for load, names in zip(loads, (allowed, blocked), strict=True):
            loads[load].write_text("".join(f"{name} A\n" for name in names))
        found = [sumun, *(make for program, make in PEERS.items() if shutil.which(program))]
        servers = []
        for make in found:
            folder = Path(base, make.__name__)
            folder.mkdir(0o755)
            servers.append(make(folder, free_port(), blocked))
        with serving(servers) as running:
            measure(running, loads, options.rounds, options.seconds)
            text = page(running, loads, options, load_average)
    print(text)
    put("sinkhole.py", "Sinkhole: `make bench-dns`", text)


if __name__ == "__main__":
    main()
