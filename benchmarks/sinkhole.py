"""Sumun beside its peers: queries a second, one server process each, asked by dnsperf on loopback.

Usage: python benchmarks/sinkhole.py [--rounds N] [--seconds S] [--names N]; writes docs/reference/benchmarks.md

All servers run at once, and the rounds are interleaved, so that what else the machine does hits each of them alike;
the table gives medians. Every server is asked everything twice before the first round, but for the names of the mix
that nobody has asked before. Sumun runs as it is delivered: decision log and metrics on.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from peers import CLIENTS, Server, blocked_names, dnsperf, installed, made, rate, serving, upstream
from report import put, setting

HEADING = "Sinkhole: `make bench-dns`"
MIX = {"blocked": 0.3, "allowed": 0.6, "never seen": 0.1}
TYPES = {"A": 0.6, "AAAA": 0.25, "HTTPS": 0.15}

type Load = Callable[[Server], tuple[Path, tuple[str, ...]]]
"""The queries of a round, and how long they last."""


def steady(path: Path, names: list[str], seconds: int) -> Load:
    path.write_text("".join(f"{name} A\n" for name in names))
    return lambda _server: (path, ("-l", str(seconds)))


def mixed(path: Path, blocked: list[str], allowed: list[str], queries: int) -> Load:
    """As many queries for each round, a share of them for names that no server has seen; the popular are few."""
    fresh = (f"www.seen-once-{number}.example" for number in count())
    dice = random.Random(1)
    pools: dict[str, Callable[[], str]] = {
        "blocked": lambda: blocked[min(int(dice.paretovariate(0.8)), len(blocked)) - 1],
        "allowed": lambda: allowed[min(int(dice.paretovariate(0.8)), len(allowed)) - 1],
        "never seen": lambda: next(fresh),
    }

    def lines() -> Iterator[str]:
        for pool in dice.choices(list(MIX), list(MIX.values()), k=queries):
            yield f"{pools[pool]()} {dice.choices(list(TYPES), list(TYPES.values()))[0]}\n"

    def load(_server: Server) -> tuple[Path, tuple[str, ...]]:
        path.write_text("".join(lines()))
        return path, ("-n", "1")

    return load


def measure(servers: list[Server], loads: dict[str, Load], rounds: int) -> None:
    for name, load in loads.items():
        for server in servers:
            for _ in range(2):  # once from the upstream, once from the cache
                dnsperf(server, load(server)[0], "-n", "1")
        for _ in range(rounds):
            for server in servers:
                queries, limits = load(server)
                before = server.processor_time()
                report = dnsperf(server, queries, *limits)
                spent, asked = server.processor_time() - before, completed(report)
                server.rates.setdefault(name, []).append(rate(report))
                server.costs.setdefault(name, []).append(spent * 1e6 / asked)


def completed(report: str) -> int:
    """Queries that were answered."""
    return max(1, int(report.partition("Queries completed:")[2].split()[0]))


def table(servers: list[Server], loads: dict[str, Load]) -> str:
    ours, *peers = servers
    lines = [f"| server | version | {' | '.join(f'{load}, q/s | Sumun is | µs each' for load in loads)} | lost | MB |"]
    lines.append("|---" * (4 + 3 * len(loads)) + "|")
    for server in (ours, *sorted(peers, key=lambda s: -s.median("blocked"))):
        cells = []
        for load in loads:
            ratio = "" if server is ours else f"{ours.median(load) / server.median(load):.2f} ×"
            cells.append(f"{server.median(load):,.0f} | {ratio} | {statistics.median(server.costs[load]):.1f}")
        tail = f"{server.lost} | {server.megabytes():.0f}"
        lines.append(f"| {server.name} | {server.tell_version()} | {' | '.join(cells)} | {tail} |")
    return "\n".join(lines)


def page(found: str, options: argparse.Namespace) -> str:
    names = f"{options.names:,} blocked names, {options.allowed:,} allowed names answered from cache"
    shares = ", ".join(f"{share:.0%} {name}" for name, share in MIX.items())
    types = ", ".join(f"{share:.0%} {name}" for name, share in TYPES.items())
    return f"""\
{setting()} {names}; dnsperf over UDP on loopback with {CLIENTS} clients; one server process each, one thread; medians \
of {options.rounds} interleaved rounds of {options.seconds} s. The mix: {shares} names, of types {types}, the popular \
ones asked most. Sumun counts every query and logs every attempt. "µs each" is the processor time of the server for \
each query, user and system, which other programs on the machine disturb less than the rate. "MB" is the memory of all \
its processes, after all of this.

{found}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--allowed", type=int, default=2_000)
    parser.add_argument("--mixed", type=int, default=40_000, help="queries of a round of the mix")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base, upstream() as port:
        folder = Path(base)
        folder.chmod(0o755)
        blocked = blocked_names(options.names)
        allowed = [f"www.allowed-{number}.example" for number in range(options.allowed)]
        loads = {
            "allowed": steady(folder / "allowed", allowed, options.seconds),
            "blocked": steady(folder / "blocked", blocked, options.seconds),
            "mix": mixed(folder / "mix", blocked, allowed, options.mixed),
        }
        with serving([made(make, folder, port, blocked) for make in installed()]) as running:
            measure(running, loads, options.rounds)
            text = page(table(running, loads), options)
    print(text)
    put("sinkhole.py", HEADING, text)


if __name__ == "__main__":
    main()
