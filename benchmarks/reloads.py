"""Reloads under load: how much longer answers take while Sumun and its peers take over another list.

Usage: python benchmarks/reloads.py [--names N] [--reloads N] [--rate QPS]; writes docs/reference/benchmarks.md

Each server is asked at the same rate, first at rest, then while its list and its configuration are changed again and
again: the next change comes as soon as the last one is in force, which shows in the answer for a name that only the new
list has.
"""

from __future__ import annotations

import argparse
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from peers import CLIENTS, Server, blocked_names, blocks, installed, made, serving, upstream
from report import put, setting

_PATIENCE = 60.0
"""Seconds for one reload."""
_LATENCY = re.compile(r"^> .* ([\d.]+)$", re.MULTILINE)
_LOST = re.compile(r"Queries lost: +(\d+)")


@dataclass(frozen=True)
class Latencies:
    """What dnsperf saw."""

    seconds: list[float]
    lost: int

    def milliseconds(self, part: float) -> float:
        """The quantile."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000


@contextmanager
def asking(server: Server, queries: Path, rate: int) -> Iterator[Path]:
    """Let dnsperf ask at a steady rate until the end of the block; where its report is then."""
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", str(queries), "-c", str(CLIENTS)]
    report = queries.with_suffix(".report")
    with report.open("w") as out:
        process = subprocess.Popen(
            [*command, "-Q", str(rate), "-l", "600", "-v"], stdout=out, stderr=subprocess.DEVNULL
        )
    try:
        yield report
    finally:
        process.send_signal(signal.SIGINT)  # it stops asking, waits for what is out and reports
        process.wait()


def seen(report: Path) -> Latencies:
    text = report.read_text()
    lost = _LOST.search(text)
    return Latencies([float(found) for found in _LATENCY.findall(text)], int(lost[1]) if lost else -1)


@dataclass(frozen=True)
class Found:
    """What reloads did to a server."""

    server: Server
    idle: Latencies
    during: Latencies
    seconds: float
    """From a change to its being in force, on average."""

    @property
    def ratio(self) -> float:
        return self.during.milliseconds(0.99) / self.idle.milliseconds(0.99)


def row(rounds: Sequence[Found]) -> str:
    """Medians of all rounds of a server; the worst and what was lost of all together."""

    def middle(of: Callable[[Found], float]) -> float:
        return statistics.median(map(of, rounds))

    server = rounds[0].server
    p99 = f"{middle(lambda it: it.idle.milliseconds(0.99)):.2f} | {middle(lambda it: it.during.milliseconds(0.99)):.2f}"
    ratio = f"{middle(lambda it: it.ratio):.1f} × | {middle(lambda it: it.during.milliseconds(0.999)):.2f}"
    worst, lost = max(max(it.during.seconds) for it in rounds), sum(it.idle.lost + it.during.lost for it in rounds)
    last = f"{worst * 1000:.0f} | {lost} | {middle(lambda it: it.seconds):.2f}"
    return f"| {server.name} | {server.tell_version()} | {server.reloading} | {p99} | {ratio} | {last} |"


def reloaded(server: Server, names: Sequence[str], number: int) -> float:
    """Change the list and take it over; seconds until it is in force."""
    marker = f"change-{number}.blocked.example"
    server.write([*names, marker], number)
    began = time.monotonic()
    if server.reload:
        subprocess.run(server.reload, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    while not blocks(server, marker):
        if time.monotonic() - began > _PATIENCE:
            raise TimeoutError
        time.sleep(0.02)
    return time.monotonic() - began


def measured(server: Server, names: Sequence[str], queries: Path, options: argparse.Namespace) -> Found | None:
    with asking(server, queries, options.rate):
        time.sleep(2)  # everything has been asked
    with asking(server, queries, options.rate) as report:
        time.sleep(options.rest)
    idle = seen(report)
    try:
        with asking(server, queries, options.rate) as report:
            times = [reloaded(server, names, number) for number in range(2, 2 + options.reloads)]
    except TimeoutError:
        print(f"{server.name} does not take over a changed list, and is left out", file=sys.stderr)
        return None
    return Found(server, idle, seen(report), sum(times) / len(times))


def page(found: Mapping[str, Sequence[Found]], left_out: Sequence[str], options: argparse.Namespace) -> str:
    head = (
        "| server | version | a reload is | p99 at rest, ms | p99, ms | ratio | p99.9, ms | worst, ms | lost | s each |"
    )
    rows = "\n".join([head, "|---" * 10 + "|", *map(row, found.values())])
    names = ", ".join(left_out)
    untaken = f"\nAs it is driven here, no changed list is in force within {_PATIENCE:.0f} s in: {names}.\n"
    missing = untaken if left_out else ""
    return f"""\
{setting()} {options.names:,} blocked names, {options.asked:,} of them asked for at {options.rate:,} queries a second \
over UDP on loopback, one server at a time, one worker; {options.reloads} reloads one after the other, each with \
another list, and for Sumun another configuration. Medians of {options.rounds} rounds; the worst answer and the \
queries lost are of all of them. "s each" is until a change is in force, on average: Sumun waits until its files have \
stood still for a second, compiles the list in the machine's idle time, and has answers ready before it changes over.

{rows}
{missing}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=100_000)
    parser.add_argument("--asked", type=int, default=5_000)
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=5_000)
    parser.add_argument("--rest", type=float, default=8.0)
    parser.add_argument("--only", default="", help="part of a server's name")
    options = parser.parse_args()
    names = blocked_names(options.names)
    with tempfile.TemporaryDirectory() as base, upstream() as port:
        folder = Path(base)
        folder.chmod(0o755)
        queries = folder / "queries"
        queries.write_text("".join(f"{name} A\n" for name in names[: options.asked]))
        found: dict[str, list[Found]] = {}
        left_out: dict[str, None] = {}
        for make in [make for _ in range(options.rounds) for make in installed()]:
            server = made(make, folder, port, names)
            if options.only.lower() not in server.name.lower():
                continue
            with serving([server]) as running:
                if running and (seen_of := measured(server, names, queries, options)):
                    found.setdefault(server.name, []).append(seen_of)
            left_out |= {server.name: None} if server.name not in found else {}
    text = page(found, [name for name in left_out if name not in found], options)
    print(text)
    if not options.only:
        put("reloads.py", "Reloads under load: `make bench-dns`", text)


if __name__ == "__main__":
    main()
