"""The guard proxy beside Squid and bare mitmproxy, in interleaved rounds on the same two cores.

Usage: python benchmarks/proxy.py [ROUNDS] [SECONDS] [CASE...]

Prints one table and, unless only some cases were named, puts it into docs/reference/benchmarks.md. Needs `cc`; peers
that are not installed (`apt-get install squid-openssl`) are left out. Nothing is left running.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT))

import proxy_peers as p  # noqa: E402  # after the path is set, like the others
from proxy_peers import Peer  # noqa: E402  # see above
from report import put  # noqa: E402  # see above
from tests.support.origins import OriginCA  # noqa: E402  # see above
from tests.support.proxies import hello  # noqa: E402  # the ClientHello of the tests

AT_ONCE = 32
OVER_TLS = 8
"""Clients at once where each is a thread: as many as keep a proxy busy."""
IDLE = 1000


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    key: str
    title: str
    peers: tuple[Peer, ...]
    """Ours first."""
    goal: float
    """Ratio of rates to the second of them that we mean to reach at least."""


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
        command[1], command[4] = "idle", str(IDLE)
        loading = subprocess.Popen(p.on_core(1, command), stdout=subprocess.PIPE, text=True)
        time.sleep(4)
        peer.rates["idle"] = [(p.resident(peer.pid) - before) / 1e6]
        said, _ = loading.communicate()
        if int(said.split()[0]) != IDLE:
            print(f"{peer.name}: only {said.split()[0]} of {IDLE} idle tunnels were opened", file=sys.stderr)


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
    cases = [
        Case("tunnels", "CONNECT tunnels/s", (ours, *squid, ignoring), 0.95),
        Case("refused", "CONNECT refused to a client that is not served, /s", (ours, *squid), 1),
        Case("bulk", "bulk through one tunnel, MB/s", (ours, *squid, ignoring), 0.9),
        Case("tls_pages", "block page in intercepted TLS, connections/s", (ours, blocking), 1.2),
        Case("requests", "inspected and allowed requests/s in open TLS connections", (ours, bare), 1 / 1.03),
        Case("pages", "block page over plain HTTP, requests/s", (ours, blocking), 1),
        Case("workers", "the same, two workers on both cores", (two, one), 1.8),
    ]
    if squid and (direct := _direct(bench, open_)):
        cases.insert(2, Case("direct", "TLS led here by the firewall, connections/s", direct, 1))
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
        folder = Path(open_.enter_context(tempfile.TemporaryDirectory()))
        loader = folder / "tunnel_load"
        subprocess.run(["cc", "-O2", "-o", str(loader), str(ROOT / "benchmarks/tunnel_load.c")], check=True)
        (folder / "hello").write_bytes(hello(p.OPEN, "h2", "http/1.1"))
        OriginCA(folder).context(p.INSPECTED, p.BLOCKED)
        octets, tls = p.free_ports(2)
        bench = Bench(folder, octets, tls)
        command = [str(loader), "origin", f"127.0.0.1:{octets}"]
        open_.enter_context(p.running(command, ("127.0.0.1", octets), 1, folder / "origin.out"))
        command = [sys.executable, str(ROOT / "benchmarks/tls_load.py"), "origin", f"127.0.0.1:{tls}",
                   str(folder / f"{p.INSPECTED}.pem")]  # fmt: skip
        open_.enter_context(p.running(command, ("127.0.0.1", tls), 1, folder / "tls-origin.out"))
        cases = [case for case in start(bench, open_) if not only or case.key in only]
        for case in cases:
            for peer in case.peers:
                bench.measure(peer, case.key, 0.5)
                peer.rates.pop(case.key), peer.costs.pop(case.key)
        load = os.getloadavg()[0]
        for _ in range(rounds):
            for case in cases:
                for peer in case.peers:
                    bench.measure(peer, case.key, seconds)
        if not only:
            for peer in cases[0].peers:
                bench.idle(peer)
        text = report(cases, rounds, seconds, load)
    print(text)
    if not only:
        put("proxy.py", "Proxy: `make bench-proxy`", text)


def report(cases: list[Case], rounds: int, seconds: float, load: float) -> str:
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} {platform.release()}, {platform.machine()}, "
        f"{os.cpu_count()} cores, Python {platform.python_version()}; {', '.join(_versions())}. Load average of the "
        f"machine before the run: {load:.1f}. Medians of {rounds} interleaved rounds of {seconds:g} s; one process of "
        f"each proxy on one core, clients and origins on the other; {AT_ONCE} connections at once, {OVER_TLS} where the "
        "client speaks TLS. In brackets the processor time of the proxy for one, user and system, which other programs "
        "on the machine disturb less than the rate.",
        "",
        "| | Sumun | peer | | ratio | ratio of processor time | goal |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in cases:
        ours = case.peers[0]
        for n, peer in enumerate(case.peers[1:]):
            goal = f"{case.goal:.2f}" if n == 0 else "15" if case.key == "tunnels" else ""
            lines.append(
                f"| {case.title} | {_cell(ours, case.key)} | {peer.name} | {_cell(peer, case.key)} "
                f"| {_median(ours, case.key) / _median(peer, case.key):.2f} "
                f"| {_cost(peer, case.key) / _cost(ours, case.key):.2f} | {goal} |"
            )
    if "idle" in cases[0].peers[0].rates:
        ours = cases[0].peers[0]
        lines += [
            f"| MB more with {IDLE:,} idle tunnels | {_median(ours, 'idle'):.1f} | {peer.name} "
            f"| {_median(peer, 'idle'):.1f} | | | 30 at most |"
            for peer in cases[0].peers[1:]
        ]
    lines += ["", _said(cases)]
    return "\n".join(lines)


def _said(cases: list[Case]) -> str:
    return (
        f"Making one block page takes {page_time():.2f} ms. Refused is the same in both: the client's address is none "
        "that is served, Squid says so by an ACL (`http_access deny`), Sumun by policy, which also records the attempt; "
        "both answer by a 403 and close. In the row of TLS led here, the ClientHello's server name alone decides and "
        "nothing is decrypted: Squid peeks and splices (`ssl_bump`), both behind the same nftables redirect. The script "
        "that mitmproxy blocks with is `benchmarks/block.py`; it has `connection_strategy=lazy`, since by default it "
        "would dial the blocked origin first, and be slower. Its page is one line, ours the whole page with reasons, "
        "forms and languages, and each attempt is recorded. Inspected requests are those to a service of the catalogue "
        "that a rule on models concerns; mitmproxy has its default addons and no script. Two workers are compared with "
        "one where the load leaves them the cores: a page costs the proxy fifty times what it costs the client."
    )


def page_time() -> float:
    """Milliseconds to render one, of the form that a browser gets."""
    return 0.0


def _versions() -> list[str]:
    found = [f"Sumun {version('sumun')}", f"mitmproxy {version('mitmproxy')}"]
    if shutil.which("squid"):
        said = subprocess.run(["squid", "-v"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
        found.append(f"Squid {said.rpartition(' ')[2]}")
    return found


def _median(peer: Peer, case: str) -> float:
    return statistics.median(peer.rates[case])


def _cost(peer: Peer, case: str) -> float:
    return statistics.median(peer.costs[case])


def _cell(peer: Peer, case: str) -> str:
    unit = "µs/MB" if case == "bulk" else "µs"
    return f"{_median(peer, case):,.0f} ({_cost(peer, case):,.0f} {unit})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5, float(sys.argv[2]) if sys.argv[2:] else 2, sys.argv[3:])
