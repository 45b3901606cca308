"""Sumun beside Unbound over TLS and over HTTPS: queries a second, one server process each, asked by dnsperf.

Usage: python benchmarks/encrypted.py [--rounds N] [--seconds S] [--names N]; writes docs/reference/benchmarks.md

As sinkhole.py measures, on connections that stay open: one for each of the clients.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from peers import (
    CLIENTS,
    Make,
    Server,
    blocked_names,
    dnsperf,
    free_port,
    made,
    rate,
    replace,
    serving,
    sumun,
    unbound,
    upstream,
)
from report import put, setting
from sinkhole import completed

HEADING = "Over TLS and over HTTPS: `make bench-dns`"
MODES = {"tcp": "TCP", "dot": "TLS", "doh": "HTTPS"}


@dataclass(frozen=True)
class Places:
    """Where a server listens for TLS and HTTPS, and with what."""

    tls: int
    https: int
    certificate: Path
    key: Path

    def port(self, server: Server, mode: str) -> int:
        return {"tcp": server.port, "dot": self.tls, "doh": self.https}[mode]

    def sumun(self, folder: Path, port: int, up: int) -> Server:
        server = sumun(folder, port, up)
        plain, files = server.write, f"certificate: {self.certificate}, key: {self.key}"
        more = f"dns: {{tls: {{port: {self.tls}, {files}}}, https: {{port: {self.https}, {files}}}, "

        def write(names: Sequence[str], number: int) -> None:
            plain(names, number)
            path = folder / "sumun.yaml"
            replace(path, path.read_text().replace("dns: {", more, 1))

        server.write = write
        return server

    def unbound(self, folder: Path, port: int, up: int) -> Server:
        server = unbound(folder, port, up)
        more = f"""server:
  interface: 127.0.0.1@{self.tls}
  interface: 127.0.0.1@{self.https}
  tls-port: {self.tls}
  https-port: {self.https}
  tls-service-key: "{self.key}"
  tls-service-pem: "{self.certificate}"
  incoming-num-tcp: 1000
"""
        replace(folder / "conf", (folder / "conf").read_text().replace("server:\n", more, 1))
        return server


def certificate(folder: Path) -> tuple[Path, Path]:
    chain, key = folder / "cert.pem", folder / "key.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *kind, "-subj", "/CN=dns.example", "-keyout", str(key), "-out", str(chain)]
    subprocess.run(command, check=True, capture_output=True)
    return chain, key


def measure(servers: dict[str, tuple[Server, Places]], queries: Path, rounds: int, seconds: int) -> None:
    for mode, name in MODES.items():
        for server, places in servers.values():
            dnsperf(server, queries, "-n", "1", "-m", mode, "-p", str(places.port(server, mode)))
        for _ in range(rounds):
            for server, places in servers.values():
                before = server.processor_time()
                where = ("-m", mode, "-p", str(places.port(server, mode)))
                report = dnsperf(server, queries, "-l", str(seconds), *where)
                spent = server.processor_time() - before
                server.rates.setdefault(name, []).append(rate(report))
                server.costs.setdefault(name, []).append(spent * 1e6 / completed(report))


def table(ours: Server, peer: Server) -> str:
    lines = ["| over | Sumun, q/s | Unbound, q/s | Sumun is | Sumun, µs each | Unbound, µs each |", "|---" * 6 + "|"]
    for name in MODES.values():
        costs = [f"{statistics.median(server.costs[name]):.1f}" for server in (ours, peer)]
        ratio = f"{ours.median(name) / peer.median(name):.2f} ×"
        lines.append(
            f"| {name} | {ours.median(name):,.0f} | {peer.median(name):,.0f} | {ratio} | {' | '.join(costs)} |"
        )
    return "\n".join([*lines, "", f"Lost: Sumun {ours.lost}, Unbound {peer.lost}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--names", type=int, default=30_000)
    options = parser.parse_args()
    if shutil.which("unbound") is None:
        sys.exit("needs unbound")
    with tempfile.TemporaryDirectory() as base, upstream() as up:
        folder = Path(base)
        folder.chmod(0o755)
        names, files = blocked_names(options.names), certificate(folder)
        (folder / "queries").write_text("".join(f"{name} A\n" for name in names))
        places = {name: Places(free_port(), free_port(), *files) for name in ("sumun", "unbound")}
        makes: dict[str, Make] = {"sumun": places["sumun"].sumun, "unbound": places["unbound"].unbound}
        servers = {name: made(make, folder, up, names) for name, make in makes.items()}
        with serving(list(servers.values())) as running:
            if len(running) < 2:
                sys.exit("one of them does not answer")
            pairs = {name: (servers[name], places[name]) for name in servers}
            measure(pairs, folder / "queries", options.rounds, options.seconds)
            text = f"""\
{setting()} {options.names:,} blocked names; dnsperf on loopback, {CLIENTS} clients with a connection each; one server \
process each, one thread; medians of {options.rounds} interleaved rounds of {options.seconds} s, after each server was \
asked everything once. TLS 1.3 and an elliptic curve on both sides; HTTPS is HTTP/2 and GET.

{table(servers["sumun"], servers["unbound"])}
"""
    print(text)
    put("encrypted.py", HEADING, text)


if __name__ == "__main__":
    main()
