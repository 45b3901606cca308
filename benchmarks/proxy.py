"""The guard proxy beside Squid and bare mitmproxy, in interleaved rounds on the same two cores.

Usage: python benchmarks/proxy.py [ROUNDS] [SECONDS] [CASE...]

Prints one table and, unless only some cases were named, puts it into docs/reference/benchmarks.md. Needs `cc`; peers
that are not installed (`apt-get install squid-openssl`) are left out. Nothing is left running.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT))

import proxy_peers as p  # noqa: E402  # after the path is set, like the others
from proxy_peers import Peer  # noqa: E402  # see above
from proxy_report import Case, report  # noqa: E402  # see above
from report import put  # noqa: E402  # see above
from tests.support.origins import OriginCA  # noqa: E402  # see above
from tests.support.proxies import hello  # noqa: E402  # the ClientHello of the tests

AT_ONCE = 32
OVER_TLS = 8
"""Clients at once where each is a thread: as many as keep a proxy busy."""


@dataclass(frozen=True)
class Bench:
    """Everything that rounds share."""

    folder: Path
    octets: int
    """Port of the origin that speaks to tunnel_load."""
    tls: int
    """Port of the one that speaks TLS."""

    def command(self, peer: Peer, case: str, seconds: float) -> list[str]:
        proxy, target = f"127.0.0.1:{peer.port}", f"{p.OPEN}:{self.octets}"
        if "mitmproxy" in peer.name:  # it would ask the resolvers of the system
            target = f"127.0.0.1:{self.octets}"
        fast, tls = str(self.folder / "tunnel_load"), [sys.executable, str(ROOT / "benchmarks/tls_load.py")]
        many, hello_file = [str(AT_ONCE), str(seconds), peer.here], str(self.folder / "hello")
        match case:
            case "tunnels":
                return [fast, "tunnels", proxy, target, *many, hello_file]
            case "refused":
                return [fast, "refused", proxy, target, str(AT_ONCE), str(seconds), p.STRANGER]
            case "direct":
                return [fast, "direct", f"{p.ORIGIN}:443", "-", *many, hello_file]
            case "bulk":
                return [fast, "bulk", proxy, target, "1", str(seconds), peer.here, hello_file]
            case "pages" | "workers":
                return [fast, "pages", proxy, p.BLOCKED, *many]
            case "tls_pages" | "requests":
                name = p.BLOCKED if case == "tls_pages" else p.INSPECTED
                target = f"{'127.0.0.1' if 'mitmproxy' in peer.name else name}:{self.tls}"
                mode = "requests" if case == "requests" else "pages"
                return [*tls, mode, proxy, target, str(OVER_TLS), str(seconds), peer.here, name]
        raise ValueError(case)

    def measure(self, peer: Peer, case: str, seconds: float) -> None:
        before = p.cpu(peer.pid)
        command = p.on_core(None if case == "workers" else 1, self.command(peer, case, seconds))
        with p.moved_to(peer.network):
            said = subprocess.run(command, capture_output=True, text=True, check=False)
        spent = p.cpu(peer.pid) - before
        if not said.stdout:
            raise SystemExit(f"{peer.name}: {case}: {said.stderr}")
        done, failed, took, octets = map(float, said.stdout.split())
        if failed > max(5, done // 100):
            raise SystemExit(f"{peer.name}: {case}: {failed:.0f} of {failed + done:.0f} failed")
        amount = octets / 1e6 if case == "bulk" else done
        peer.rates.setdefault(case, []).append(amount / took)
        peer.costs.setdefault(case, []).append(spent / max(amount, 1) * 1e6)

    def idle(self, peer: Peer) -> None:
        """Memory that open tunnels take, in MB."""
        before = p.resident(peer.pid)
        command = self.command(peer, "tunnels", 5)
        command[1], command[4] = "idle", str(p.IDLE_TUNNELS)
        loading = subprocess.Popen(p.on_core(1, command), stdout=subprocess.PIPE, text=True)
        time.sleep(4)
        more = (p.resident(peer.pid) - before) / 1e6
        opened = int(loading.communicate()[0].split()[0])
        if opened == p.IDLE_TUNNELS:
            peer.rates["idle"] = [more]
        else:
            print(f"{peer.name}: only {opened} of {p.IDLE_TUNNELS} idle tunnels were opened", file=sys.stderr)


def start(bench: Bench, open_: ExitStack) -> list[Case]:
    """Start every peer, and say what they are compared in."""
    folder, enter = bench.folder, open_.enter_context
    names = enter(p.resolver("127.0.0.1"))
    ours = enter(p.sumun(folder / "sumun", names, folder / "origin-ca.pem"))
    two = enter(p.sumun(folder / "sumun-2", names, folder / "origin-ca.pem", workers=2))
    one = enter(p.sumun(folder / "sumun-1", names, folder / "origin-ca.pem"))
    two.name, one.name = "two workers", "one worker"
    roots = ("--set", f"ssl_verify_upstream_trusted_ca={folder / 'origin-ca.pem'}")
    ignoring = enter(p.mitmproxy(folder / "mitm-ignore", "mitmproxy, `ignore_hosts`", "--ignore-hosts", ".*"))
    bare = enter(p.mitmproxy(folder / "mitm-bare", "mitmproxy", *roots))
    script = ("-s", str(ROOT / "benchmarks/block.py"), "--set", "connection_strategy=lazy")
    blocking = enter(p.mitmproxy(folder / "mitm-block", "mitmproxy with a script", *roots, *script))
    squid = (enter(p.squid(folder / "squid", bench.octets, "127.0.0.1")),) if shutil.which("squid") else ()
    beside_squid = (0.95,) * len(squid)
    cases = [
        Case("tunnels", "CONNECT tunnels/s", (ours, *squid, ignoring), (*beside_squid, 15)),
        Case("refused", "refused CONNECT/s", (ours, *squid), (1,) * len(squid)),
        Case("bulk", "bulk through one tunnel, MB/s", (ours, *squid, ignoring), (*(0.9,) * len(squid), 1)),
        Case("tls_pages", "block page in intercepted TLS, connections/s", (ours, blocking), (1.2,)),
        Case("requests", "inspected and allowed, requests/s", (ours, bare), (0.97,)),
        Case("pages", "block page over plain HTTP, requests/s", (ours, blocking), (2,)),
        Case("workers", "the same with two workers on both cores", (two, one), (1.8,)),
    ]
    if squid and (direct := _direct(bench, open_)):
        cases.insert(2, Case("direct", "TLS led here by the firewall, connections/s", direct, (1,)))
    return cases


def _direct(bench: Bench, open_: ExitStack) -> tuple[Peer, ...]:
    """The server name alone decides: Squid peeks and splices."""
    folder = bench.folder
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    network = open_.enter_context(p.own_network())
    if network is None:
        return ()
    origin = (p.ORIGIN, 443)
    loader = [str(folder / "tunnel_load"), "origin", f"{p.ORIGIN}:443"]
    open_.enter_context(p.running(loader, origin, 1, folder / "origin-direct.out"))
    names = open_.enter_context(p.resolver(p.ORIGIN))
    ours = open_.enter_context(p.sumun(folder / "sumun-direct", names, folder / "origin-ca.pem"))
    theirs = open_.enter_context(p.squid(folder / "squid-direct", 443, p.ORIGIN, folder / f"{p.INSPECTED}.pem"))
    p.lead(ours, theirs)
    ours.network = theirs.network = network
    os.setns(before, os.CLONE_NEWNET)
    os.close(before)
    return ours, theirs


def main(rounds: int, seconds: float, only: list[str]) -> None:
    with ExitStack() as open_:
        bench = prepare(Path(open_.enter_context(tempfile.TemporaryDirectory())), open_)
        cases = [case for case in start(bench, open_) if not only or case.key in only]
        run(bench, cases, 1, 0.5)
        for peer in {peer.pid: peer for case in cases for peer in case.peers}.values():
            peer.rates.clear()  # what was measured while everything was new
            peer.costs.clear()
        run(bench, cases, rounds, seconds)
        if not only:
            for peer in cases[0].peers:
                bench.idle(peer)
        how = (
            f"Medians of {rounds} interleaved rounds of {seconds:g} s; {AT_ONCE} connections at once, {OVER_TLS} where "
            "the client speaks TLS. One process of each proxy on one core, clients and origins on the other."
        )
        text = report(cases, how)
    print(text)
    if not only:
        put("proxy.py", "Proxy: `make bench-proxy`", text)


def prepare(folder: Path, open_: ExitStack) -> Bench:
    """Build the load, and start the origins."""
    loader = folder / "tunnel_load"
    subprocess.run(["cc", "-O2", "-o", str(loader), str(ROOT / "benchmarks/tunnel_load.c")], check=True)
    (folder / "hello").write_bytes(hello(p.OPEN, "h2", "http/1.1"))
    OriginCA(folder).context(p.INSPECTED, p.BLOCKED)
    octets, tls = p.free_ports(2)
    fast = [str(loader), "origin", f"127.0.0.1:{octets}"]
    open_.enter_context(p.running(fast, ("127.0.0.1", octets), 1, folder / "origin.out"))
    script, certificate = str(ROOT / "benchmarks/tls_load.py"), str(folder / f"{p.INSPECTED}.pem")
    slow = [sys.executable, script, "origin", f"127.0.0.1:{tls}", certificate]
    open_.enter_context(p.running(slow, ("127.0.0.1", tls), 1, folder / "tls-origin.out"))
    return Bench(folder, octets, tls)


def run(bench: Bench, cases: list[Case], rounds: int, seconds: float) -> None:
    for _ in range(rounds):
        for case in cases:
            for peer in case.peers:
                bench.measure(peer, case.key, seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5, float(sys.argv[2]) if sys.argv[2:] else 2, sys.argv[3:])
