"""How long nobody serves after the only worker of a role is killed, what its return costs, and what workers share.

Usage: python benchmarks/killed.py [--kills N]; writes docs/reference/benchmarks.md

Time is from the kill to the first answer that is right, asked for without pause from this process; processor time is
that of the new worker, the supervisor and the zygotes until then. Memory is counted with two workers of each role.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.message
from report import put, setting

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import configs
from tests.support.running import children, free_ports, started, words, workers, zygotes

CLIENT, NAME = "127.0.0.3", "chat.deepseek.com"
QUERY = dns.message.make_query(NAME, "A").to_wire()
REQUEST = f"GET http://{NAME}/ HTTP/1.1\r\nHost: {NAME}\r\nAccept: */*\r\n\r\n".encode()
PAUSE = 10.5
"""Seconds between an answer and the next kill: what has served for ten is started again at once."""


@contextmanager
def filtering(count: int) -> Iterator[tuple[int, int, int]]:
    """The id of the supervisor, and the ports of DNS and of the proxy."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        dns_port, proxy, http, https, console = free_ports(5)
        config = configs.variant(
            state=str(path / "state"),
            listen={
                "dns": {"address": "127.0.0.1", "port": dns_port, "workers": count},
                "proxy": {"address": "127.0.0.1", "port": proxy, "workers": count},
                "pages": {"address": "127.0.0.1", "http": http, "https": https},
                "console": {"address": "127.0.0.1", "port": console},
            },
        )
        file = configs.write(path / "sumun.yaml", config)
        with started(file, state=path / "state", console=f"http://127.0.0.1:{console}") as running:
            yield running.process.pid, dns_port, proxy


def dns_answers(port: int) -> bool:
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.01)
        try:
            asking.bind((CLIENT, 0))
            asking.connect(("127.0.0.1", port))
            asking.send(QUERY)
            return bool(asking.recv(512))
        except OSError:
            return False


def proxy_answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5, (CLIENT, 0)) as asking:
            asking.sendall(REQUEST)
            return asking.recv(64).startswith(b"HTTP/1.1 403")
    except OSError:
        return False


def await_answer(answers: Callable[[int], bool], port: int) -> None:
    while not answers(port):
        time.sleep(0.002)


def worker(supervisor: int, role: str) -> int:
    return next((pid for pid in workers(supervisor) if words(pid)[4:5] == [role.encode()]), 0)


def spent(*pids: int) -> float:
    """Seconds of the processor."""
    files = [file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(file.read_text().split()[0]) for file in files) / 1e9


def killed(supervisor: int, role: str, answers: Callable[[int], bool], port: int) -> tuple[float, float]:
    """Seconds, and those of the processor, until another one answers."""
    await_answer(answers, port)
    time.sleep(PAUSE)
    stay, victim = [supervisor, *zygotes(supervisor)], worker(supervisor, role)
    before, began = spent(*stay), time.monotonic()
    os.kill(victim, signal.SIGKILL)
    while worker(supervisor, role) in (0, victim):
        pass
    await_answer(answers, port)
    return time.monotonic() - began, spent(*stay, worker(supervisor, role)) - before


def megabytes(pid: int) -> float:
    """Its part of memory: what is shared counts in equal parts."""
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found.group(1)) / 1024 if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    kills, where = parser.parse_args().kills, setting()
    rows = ["| only worker of | ms to the next answer | at most | processor, ms |", "|---|---|---|---|"]
    with filtering(1) as (supervisor, dns_port, proxy_port):
        for role, answers, port in (("dns", dns_answers, dns_port), ("proxy", proxy_answers, proxy_port)):
            times, costs = zip(*(killed(supervisor, role, answers, port) for _ in range(kills)), strict=True)
            wall, most, cost = statistics.median(times), max(times), statistics.median(costs)
            rows.append(f"| {role} | {1000 * wall:.0f} | {1000 * most:.0f} | {1000 * cost:.0f} |")
    rows += ["", "| two workers each of dns and proxy | MB |", "|---|---|"]
    with filtering(2) as (supervisor, _, _):
        serving = [pid for pid in workers(supervisor) if words(pid)[4:5] in ([b"dns"], [b"proxy"])]
        rows.append(f"| these four | {sum(map(megabytes, serving)):.0f} |")
        rows.append(f"| those that they are forked from | {sum(map(megabytes, zygotes(supervisor))):.0f} |")
        everything = [supervisor, *children(supervisor)]
        rows.append(f"| everything, supervisor and console too | {sum(map(megabytes, everything)):.0f} |")
    note = f"Medians of {kills} kills of a worker that had served for {PAUSE} s."
    text = f"{where} {note}"
    put("killed.py", "A killed worker", "\n".join([text, "", *rows]))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
