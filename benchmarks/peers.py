"""The servers that benchmarks compare: how each is configured, started, changed and watched.

Every peer that is installed takes part, with the same names blocked and the same upstream.
"""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

CLIENTS = 10
PROBE = "first.blocked.example"


@dataclass
class Server:
    """A server under test, with its files in a folder of its own."""

    name: str
    command: list[str]
    version: list[str]
    port: int
    write: Callable[[Sequence[str], int], object]
    """Puts other names into its list; the number grows with each."""
    reload: list[str] | None = None
    """What makes it read the list again, and what else it is configured by; None: it watches its files."""
    reloading: str = "it sees its files change"
    """That in words."""
    process: subprocess.Popen[bytes] | None = None
    rates: dict[str, list[float]] = field(default_factory=dict)
    costs: dict[str, list[float]] = field(default_factory=dict)
    """Microseconds of processor time for each query."""
    lost: int = 0

    def megabytes(self) -> float:
        """Memory of the process and those it started, what they share counted once."""
        pids = [self.process.pid, *children(self.process.pid)] if self.process else []
        return sum(proportional(pid) for pid in pids) / 2**20

    def processor_time(self) -> float:
        """Seconds that the server's processes have computed so far."""
        ticks = 0
        for pid in [self.process.pid, *children(self.process.pid)] if self.process else []:
            with suppress(OSError):
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def median(self, load: str) -> float:
        """Queries a second."""
        return statistics.median(self.rates[load])

    def tell_version(self) -> str:
        done = subprocess.run(self.version, capture_output=True, text=True, check=False)
        found = re.search(r"\d+\.\d+[\w.+-]*", done.stdout + done.stderr)
        return found[0] if found else "?"


def children(pid: int) -> list[int]:
    with suppress(OSError):
        direct = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return [p for child in direct for p in (child, *children(child))]
    return []


def proportional(pid: int) -> int:
    """Octets of memory, of what several processes share a part each."""
    with suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.findall(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[0]) * 1024
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


def replace(path: Path, text: str) -> None:
    """Put a file in place whole, as an administrator's tool would."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def zone(path: Path, names: Sequence[str], serial: int) -> None:
    """A response policy zone."""
    head = f"$TTL 30\n@ SOA localhost. root.localhost. {serial} 3600 600 86400 30\n@ NS localhost.\n"
    replace(path, head + "".join(f"{name} CNAME .\n*.{name} CNAME .\n" for name in names))


def sumun(folder: Path, port: int, upstream: int, workers: int = 1) -> Server:
    def write(names: Sequence[str], number: int) -> None:
        replace(folder / "names", "".join(f"{name}\n" for name in names))
        replace(folder / "sumun.yaml", config.format(number=number))

    config = f"""
version: 1
listen:
  dns: {{{{address: 127.0.0.1, port: {port}, workers: {workers}}}}}
upstreams: ["udp://127.0.0.1:{upstream}"]
state: {folder / "state"}
lists: [{{{{id: bench, path: {folder / "names"}, format: domains}}}}]
segments:
  bench:
    networks: [127.0.0.0/8]
    dns: {{{{answer: nxdomain, ttl: 30}}}}
    rules: [{{{{id: blocked, action: block, lists: [bench], reference: "change {{number}}"}}}}]
"""
    run = [sys.executable, "-m", "sumun"]
    return Server("Sumun", [*run, "dns", "-c", str(folder / "sumun.yaml")], [*run, "--version"], port, write)


def unbound(folder: Path, port: int, upstream: int) -> Server:
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
  forward-addr: 127.0.0.1@{upstream}
rpz:
  name: "rpz.example."
  zonefile: "{folder / "rpz"}"
remote-control:
  control-enable: yes
  control-interface: "{folder / "control"}"
  control-use-cert: no
""")
    command = ["unbound", "-d", "-c", str(folder / "conf")]
    reload = ["unbound-control", "-c", str(folder / "conf"), "reload_keep_cache"]
    return Server(
        "Unbound, RPZ",
        command,
        ["unbound", "-V"],
        port,
        partial(zone, folder / "rpz"),
        reload,
        "`unbound-control reload_keep_cache`",
    )


def bind(folder: Path, port: int, upstream: int) -> Server:
    control = free_port()
    key = f'key "bench" {{ algorithm hmac-sha256; secret "{base64.b64encode(os.urandom(32)).decode()}"; }};\n'
    options = f'options {{ default-key "bench"; default-server 127.0.0.1; default-port {control}; }};\n'
    (folder / "rndc").write_text(key + options)
    (folder / "conf").write_text(f"""{key}
options {{
  directory "{folder}"; pid-file none; session-keyfile "{folder}/key"; managed-keys-directory "{folder}";
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  forwarders {{ 127.0.0.1 port {upstream}; }}; forward only; dnssec-validation no;
  response-policy {{ zone "rpz.example"; }} min-update-interval 0 qname-wait-recurse no;
}};
controls {{ inet 127.0.0.1 port {control} allow {{ 127.0.0.1; }} keys {{ "bench"; }}; }};
zone "rpz.example" {{ type primary; file "{folder}/rpz"; allow-query {{ none; }}; }};
""")
    command = ["named", "-f", "-n", "1", "-c", str(folder / "conf")]
    reload = ["rndc", "-c", str(folder / "rndc"), "reload"]
    return Server("BIND, RPZ", command, ["named", "-v"], port, partial(zone, folder / "rpz"), reload, "`rndc reload`")


def dnsmasq(folder: Path, port: int, upstream: int) -> Server:
    def write(names: Sequence[str], _number: int) -> None:
        replace(folder / "names", f"server=127.0.0.1#{upstream}\n" + "".join(f"server=/{name}/\n" for name in names))

    command = ["dnsmasq", "-k", f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv"]
    command += ["--no-hosts", f"--pid-file={folder / 'pid'}", "--user=root", "--cache-size=10000", "--conf-file="]
    command += [f"--servers-file={folder / 'names'}"]
    reload = ["sh", "-c", f"kill -HUP $(cat {folder / 'pid'})"]
    return Server(
        "dnsmasq", command, ["dnsmasq", "-v"], port, write, reload, "SIGHUP, which reads `--servers-file` alone"
    )


def powerdns(folder: Path, port: int, upstream: int) -> Server:
    (folder / "lua").write_text(f'rpzFile("{folder}/rpz", {{policyName="bench"}})\n')
    command = ["pdns_recursor", "--daemon=no", f"--local-port={port}", "--local-address=127.0.0.1", "--threads=1"]
    command += [f"--socket-dir={folder}", f"--config-dir={folder}", f"--lua-config-file={folder}/lua", "--quiet=yes"]
    command += [f"--forward-zones-recurse=.=127.0.0.1:{upstream}", "--loglevel=0", "--dnssec=off"]
    reload = ["rec_control", f"--socket-dir={folder}", f"--config-dir={folder}", "reload-lua-config"]
    version = ["pdns_recursor", "--version"]
    return Server(
        "PowerDNS Recursor, RPZ",
        command,
        version,
        port,
        partial(zone, folder / "rpz"),
        reload,
        "`rec_control reload-lua-config`",
    )


def knot(folder: Path, port: int, upstream: int) -> Server:
    (folder / "conf").write_text(f"""
net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})
modules = {{ 'policy' }}
trust_anchors.remove('.')
policy.add(policy.rpz(policy.DENY, '{folder}/rpz'))
policy.add(policy.all(policy.FORWARD('127.0.0.1@{upstream}')))
cache.size = 100 * MB
""")
    command = ["kresd", "-n", "-c", str(folder / "conf"), str(folder)]
    return Server("Knot Resolver, RPZ", command, ["kresd", "-V"], port, partial(zone, folder / "rpz"))


type Make = Callable[[Path, int, int], Server]
"""Folder, port and the upstream's port to a server."""

PEERS: dict[str, Make] = {
    "unbound": unbound,
    "named": bind,
    "dnsmasq": dnsmasq,
    "pdns_recursor": powerdns,
    "kresd": knot,
}


def installed() -> list[Make]:
    """Sumun, and the peers that this machine has."""
    return [sumun, *(make for program, make in PEERS.items() if shutil.which(program))]


def made(make: Make, base: Path, upstream: int, names: Sequence[str]) -> Server:
    """A server with its list, not yet started."""
    folder = Path(tempfile.mkdtemp(prefix="server-", dir=base))
    folder.chmod(0o755)
    server = make(folder, free_port(), upstream)
    server.write(names, 1)
    return server


ANSWERING = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(sys.argv[1])))
found = {1: bytes.fromhex("c00c00010001000151800004c0000250"),
         28: bytes.fromhex("c00c001c0001000151800010") + bytes.fromhex("20010db8") + bytes(11) + b"\\1"}
nothing = bytes.fromhex("c00c00060001000151800016" + "0000" + "00000001" * 4 + "00015180")
while True:
    query, peer = sock.recvfrom(4096)
    end = query.index(0, 12) + 5
    record = found.get(int.from_bytes(query[end - 4 : end - 2]))
    head = bytes.fromhex("8180000100010000" if record else "8180000100000001") + bytes(2)
    sock.sendto(query[:2] + head + query[12:end] + (record or nothing), peer)
"""
"""An upstream that knows addresses for everything, and that there is nothing else."""


@contextmanager
def upstream() -> Iterator[int]:
    """Its port."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", ANSWERING, str(port)])
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@contextmanager
def serving(servers: Sequence[Server]) -> Iterator[list[Server]]:
    """Start them, and go on with those that answer."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        for server in servers:
            server.process = subprocess.Popen(server.command, **quiet)  # type: ignore[call-overload]  # two of its keywords
        yield [server for server in servers if comes_up(server)]
    finally:
        for server in servers:
            if server.process:
                server.process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    server.process.wait(10)
                server.process.kill()
                server.process.wait()


def comes_up(server: Server, limit: float = 300) -> bool:
    """Whether it blocks what it should before this many seconds are over."""
    end = time.monotonic() + limit
    while time.monotonic() < end and server.process and server.process.poll() is None:
        if blocks(server, PROBE):
            return True
        time.sleep(0.1)  # a port where nobody listens yet refuses at once
    print(f"{server.name} does not answer and is left out", file=sys.stderr)
    return False


def blocks(server: Server, name: str) -> bool:
    """Whether it says that there is no such name."""
    query = b"\1\2\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    with socket.socket(type=socket.SOCK_DGRAM) as asking, suppress(OSError):
        asking.settimeout(2)
        asking.connect(("127.0.0.1", server.port))
        asking.send(query + b"\0\0\1\0\1")
        return asking.recv(4096)[3] & 0xF == 3
    return False


def dnsperf(server: Server, queries: Path, *limits: str) -> str:
    """Its report; what was lost is noted."""
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", str(queries), "-c", str(CLIENTS), *limits]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    server.lost += int(re.findall(r"Queries lost: +(\d+)", report)[0])
    return report


def rate(report: str) -> float:
    """Queries a second."""
    return float(re.findall(r"Queries per second: +([\d.]+)", report)[0])
