"""A million listed names: what they cost Sumun and its peers in memory, and how long until they are in force.

Usage: python benchmarks/million.py [--names N]; writes docs/reference/benchmarks.md

Every server runs once with one listed name and once with all of them, alone, and is asked for a part of the names
before its memory is read. Sumun runs with two workers, which is what its bound is for; the peers run as one process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from peers import PROBE, Make, Server, blocked_names, dnsperf, installed, made, serving, sumun, upstream
from report import put, setting

from sumun.loading.compiler import Job, LargeList

WORKERS = 2
ASKED = 20_000
"""Names asked for before memory is read: what is touched then counts, as it would in service."""


MEASURING = """
import resource, subprocess, sys
with open(sys.argv[1], "wb") as out:
    subprocess.run(sys.argv[2:], stdout=out, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""
"""Runs a command from a small process: the kernel counts the memory of whoever starts a program as that program's."""


@dataclass(frozen=True)
class Cost:
    """What names cost a server."""

    name: str
    version: str
    without: float
    megabytes: float
    seconds: float
    """Until the names are in force, from the start of the program."""


def measured(
    make: Make, base: Path, port: int, names: Sequence[str], queries: Path
) -> tuple[float, float, Server] | None:
    """Memory and seconds of one run; None where it does not come up."""
    server = made(make, base, port, names)
    began = time.monotonic()
    with serving([server]) as running:
        if not running:
            return None
        ready = time.monotonic() - began
        dnsperf(server, queries, "-n", "1")
        return server.megabytes(), ready, server


def cost(make: Make, base: Path, port: int, names: Sequence[str], queries: Path) -> Cost | None:
    few, many = measured(make, base, port, [PROBE], queries), measured(make, base, port, names, queries)
    if few is None or many is None:
        return None
    server = many[2]
    return Cost(server.name, server.tell_version(), few[0], many[0] - few[0], many[1])


def compiled(names: Sequence[str], base: Path) -> tuple[float, float, float]:
    """Processor time and memory of Sumun's compiler, and megabytes of what it makes."""
    path = base / "listed"
    path.write_text("".join(f"{name}\n" for name in names))
    job = Job((LargeList("bench", "domains", str(path), sha256(path.read_bytes()).hexdigest(), guard=True),), ())
    command = [sys.executable, "-c", MEASURING, str(base / "index"), sys.executable, "-m", "sumun.loading.compiler"]
    told = subprocess.run(command, input=json.dumps(asdict(job)), capture_output=True, text=True, check=True).stdout
    seconds, kilobytes = map(float, told.split())
    return seconds, kilobytes / 1024, (base / "index").stat().st_size / 2**20


def page(costs: list[Cost], made_by: tuple[float, float, float], count: int) -> str:
    seconds, peak, size = made_by
    lines = ["| server | version | MB without | MB more | seconds until in force |", "|---" * 5 + "|"]
    lines += [f"| {c.name} | {c.version} | {c.without:.0f} | {c.megabytes:.0f} | {c.seconds:.1f} |" for c in costs]
    found = "\n".join(lines)
    return f"""\
{setting()} {count:,} listed names; each server alone, with them and without, asked for {ASKED:,} of them before its \
memory is read: that of all its processes together, what they share counted once. Sumun has {WORKERS} workers, the \
peers are one process. Sumun's compiler takes {seconds:.1f} s of processor time and {peak:.0f} MB while it works, in a \
process of its own with low priority, and makes a file of {size:.0f} MB, which a restart finds ready.

{found}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=1_000_000)
    options = parser.parse_args()
    names = blocked_names(options.names)
    with tempfile.TemporaryDirectory() as base, upstream() as port:
        folder = Path(base)
        folder.chmod(0o755)
        queries = folder / "queries"
        queries.write_text("".join(f"{name} A\n" for name in names[:: max(1, len(names) // ASKED)]))
        ours: Make = partial(sumun, workers=WORKERS)
        makes = [ours, *(make for make in installed() if make is not sumun)]
        costs = [cost(make, folder, port, names, queries) for make in makes]
        text = page([found for found in costs if found], compiled(names, folder), options.names)
    print(text)
    put("million.py", "A million listed names: `make bench-dns`", text)


if __name__ == "__main__":
    main()
