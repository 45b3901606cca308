"""The sinkhole under load for as long as one likes, while everything goes wrong that may: ``make soak``.

    python -m tests.support.soak [--seconds N] [--rate QPS]

Two workers serve blocked, cached and never-seen names. Meanwhile the list and the configuration change, upstreams
stall, one or both, and workers are killed. What must hold, and is raised where it does not:

- without a kill, every query that was sent was counted, and every one counted was answered or counted as dropped;
- with kills, at most what was in a killed worker is missing: what waited in its socket or for upstreams, and counts
  that it had not handed on;
- a killed worker serves again; memory is flat once everything has been seen.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml
from benchmarks.report import put, setting
from prometheus_client.parser import text_string_to_metric_families

from tests.support.running import Running, free_ports, started, words, workers

_LISTED = 60_000
"""Names on the list: enough for it to be compiled in a process of its own."""
_ASKED = 3_000
_FRESH = 200
"""Names a second that nobody has asked for before."""
_PATIENCE = "20"
"""Seconds for which dnsperf waits for an answer: longer than the sinkhole waits for its upstreams."""
_IN_FLIGHT = 2_000
"""Questions that a worker lets wait for upstreams at most, which stall sometimes."""
_UNCOUNTED = 0.25
"""Seconds for which a worker may keep counts to itself, and for which queries still come to one that dies."""
_RELOAD, _STALL, _KILL = 15, 25, 40
"""Seconds from one trouble to the next."""
_TRIED, _LONG = 12, 300
"""Seconds for which it is tried how much is answered; seconds from which on a run is worth a page."""
_SAMPLES, _GROWTH = 150, 0.03
"""From so many on, what is weighed in the last two quarters of the time may differ by so small a part."""
_SMALLEST = 512
"""Octets at least that the kernel reckons for a small datagram in a queue."""

UPSTREAM = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(sys.argv[1])))
while True:
    query, peer = sock.recvfrom(4096)
    end = query.index(0, 12) + 5
    record = bytes.fromhex("c00c00010001000000b40004c0000250")
    sock.sendto(query[:2] + bytes.fromhex("81800001000100000000") + query[12:end] + record, peer)
"""


@dataclass(frozen=True)
class Plan:
    """What happens, in seconds from one to the next; 0: never."""

    seconds: float
    rate: int
    """Queries a second; 0: as many as are answered, a few being out at a time."""
    reload_every: float
    stall_every: float
    kill_every: float
    stall: float = 3.0


@dataclass
class Report:
    """What came of it."""

    sent: int = 0
    completed: int = 0
    lost: int = 0
    """By dnsperf's word, as are the two above."""
    queries: int = 0
    responses: int = 0
    dropped: int = 0
    """By the metrics, as are the two above."""
    reloads: int = 0
    stalls: int = 0
    kills: int = 0
    in_killed: int = 0
    """At most so many queries were in workers when they were killed."""
    slowest_return: float = 0.0
    """Seconds from a kill until the worker served again."""
    megabytes: list[float] = field(default_factory=list)
    """Memory of all processes, what they share counted once, over time."""

    def check(self) -> None:
        """Raises AssertionError where something is not accounted for."""
        assert self.sent == self.completed + self.lost, self
        assert 0 <= self.lost - self.dropped <= self.in_killed, self
        assert 0 <= self.sent - self.queries <= self.in_killed, self
        assert 0 <= self.queries - self.responses - self.dropped <= self.in_killed, self
        if len(self.megabytes) >= _SAMPLES:
            assert self.growth < _GROWTH * self.megabytes[-1], self

    @property
    def growth(self) -> float:
        """Megabytes that the last quarter of the time has more than the one before."""
        quarter = max(1, len(self.megabytes) // 4)
        return statistics.median(self.megabytes[-quarter:]) - statistics.median(self.megabytes[-2 * quarter : -quarter])

    def __str__(self) -> str:
        rows = {
            "queries sent": self.sent,
            "answered": self.completed,
            "lost": self.lost,
            "counted as dropped": self.dropped,
            "counted queries": self.queries,
            "counted responses": self.responses,
            "reloads": self.reloads,
            "stalls of upstreams": self.stalls,
            "workers killed": self.kills,
            "at most in killed workers": self.in_killed,
        }
        text = [f"| {name} | {number:,} |" for name, number in rows.items()]
        text.append(f"| slowest return of a killed worker, s | {self.slowest_return:.2f} |")
        quarter = max(1, len(self.megabytes) // 4)
        medians = [statistics.median(self.megabytes[at : at + quarter]) for at in range(0, 4 * quarter, quarter)]
        text.append(f"| MB, median of each quarter of the time | {', '.join(f'{each:.0f}' for each in medians)} |")
        return "\n".join(["| | |", "|---|---|", *text])


class Soak:
    """One filter and what is done to it."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        self._dns, proxy, http, https, console, *upstreams = free_ports(7)
        self._upstream_ports = upstreams
        self._console = f"http://127.0.0.1:{console}"
        self._listen = {
            "dns": {"address": "127.0.0.1", "port": self._dns, "workers": 2},
            "proxy": {"address": "127.0.0.1", "port": proxy},
            "pages": {"address": "127.0.0.1", "address6": None, "http": http, "https": https},
            "console": {"address": "127.0.0.1", "port": console},
        }
        self._upstreams: list[subprocess.Popen[bytes]] = []
        self._changes = 0
        self._end = threading.Event()
        self.report = Report()

    def run(self) -> Report:
        """From the start of everything to the end of everything."""
        with ExitStack() as at_the_end:
            for port in self._upstream_ports:
                self._upstreams.append(at_the_end.enter_context(_process([sys.executable, "-c", UPSTREAM, str(port)])))
            self._change()
            running = at_the_end.enter_context(
                started(self._folder / "sumun.yaml", state=self._folder / "state", console=self._console)
            )
            loads = [at_the_end.enter_context(_process(command, self._folder / "load")) for command in self._loads()]
            troubles = [threading.Thread(target=self._again, args=trouble) for trouble in self._troubles(running)]
            for thread in troubles:
                thread.start()
            for load in loads:
                load.wait()
            self._end.set()
            for thread in troubles:
                thread.join()
            self._read_loads(loads)
            self._scrape()
        return self.report

    def _change(self) -> None:
        self._changes += 1
        names = [f"host-{number}.blocked-{number % 97}.example\n" for number in range(_LISTED)]
        listed = self._folder / "names.new"
        listed.write_text("".join([*names, f"change-{self._changes}.blocked.example\n"]))
        listed.replace(self._folder / "names")
        rule = {"id": "blocked", "action": "block", "lists": ["soak"], "reference": f"change {self._changes}"}
        config = {
            "version": 1, "listen": self._listen, "state": str(self._folder / "state"),
            "upstreams": [f"udp://127.0.0.1:{port}" for port in self._upstream_ports],
            "lists": [{"id": "soak", "path": str(self._folder / "names"), "format": "domains"}],
            "segments": {"soak": {"networks": ["127.0.0.0/8"], "dns": {"answer": "nxdomain"}, "rules": [rule]}},
        }  # fmt: skip
        fresh = self._folder / "sumun.new"
        fresh.write_text(yaml.safe_dump(config))
        fresh.replace(self._folder / "sumun.yaml")

    def _loads(self) -> Iterator[list[str]]:
        steady, fresh = self._folder / "steady", self._folder / "fresh"
        blocked = [
            f"host-{number}.blocked-{number % 97}.example {'AAAA' if number % 4 else 'A'}" for number in range(_ASKED)
        ]
        allowed = [f"www.allowed-{number}.example A" for number in range(_ASKED)]
        steady.write_text("\n".join(line for pair in zip(blocked, allowed, strict=True) for line in pair) + "\n")
        count = int(self._plan.seconds * _FRESH * 2)
        fresh.write_text("".join(f"www.seen-once-{number}.example A\n" for number in range(count)))
        for path, rate in ((steady, self._plan.rate), (fresh, _FRESH)):
            pace = ["-q", "20000", "-Q", str(rate)] if rate else ["-q", "200"]
            yield [
                "dnsperf", "-s", "127.0.0.1", "-p", str(self._dns), "-d", str(path), "-c", "10",
                "-l", str(int(self._plan.seconds)), "-t", _PATIENCE, *pace,
            ]  # fmt: skip

    def _troubles(self, running: Running) -> Iterator[tuple[float, Callable[[], None]]]:
        yield max(0.5, self._plan.seconds / 200), lambda: self._weigh(running.process.pid)
        yield self._plan.reload_every, lambda: self._reload(running)
        yield self._plan.stall_every, self._stall
        yield self._plan.kill_every, lambda: self._kill(running)

    def _again(self, every: float, do: Callable[[], None]) -> None:
        while every and not self._end.wait(every):
            do()

    def _reload(self, running: Running) -> None:
        self._change()
        running.process.send_signal(signal.SIGHUP)
        self.report.reloads += 1

    def _stall(self) -> None:
        self.report.stalls += 1
        stalled = self._upstreams[: 1 + self.report.stalls % 2]  # one, then both
        for upstream in stalled:
            upstream.send_signal(signal.SIGSTOP)
        self._end.wait(self._plan.stall)
        for upstream in stalled:
            upstream.send_signal(signal.SIGCONT)

    def _kill(self, running: Running) -> None:
        """Stop a worker, look at what is in its socket, and kill it."""
        victim = f"dns-{self.report.kills % 2}"
        pid = _worker(running.process.pid, victim)
        if pid is None:
            return
        heard = len(running.said)
        os.kill(pid, signal.SIGSTOP)
        _await_stopped(pid)
        waiting, overflowed = _queued(self._dns, pid)  # what the victim saw overflow it may not have handed on
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        self.report.in_killed += waiting + overflowed + _IN_FLIGHT + int((self._plan.rate + _FRESH) * _UNCOUNTED)
        self.report.kills += 1
        running.await_said(f"{victim}: policy", after=heard)
        self.report.slowest_return = max(self.report.slowest_return, time.monotonic() - began)

    def _weigh(self, pid: int) -> None:
        self.report.megabytes.append(sum(map(_proportional, _family(pid))) / 2**20)

    def _read_loads(self, loads: Sequence[subprocess.Popen[bytes]]) -> None:
        said = (self._folder / "load").read_text()
        assert [load.returncode for load in loads] == [0] * len(loads), said
        for name in ("sent", "completed", "lost"):
            total = sum(int(number) for number in re.findall(rf"Queries {name}: +(\d+)", said))
            setattr(self.report, name, total)

    def _scrape(self) -> None:
        time.sleep(1)  # counts are handed on within a moment
        for family in text_string_to_metric_families(httpx.get(f"{self._console}/metrics", timeout=30).text):
            for sample in family.samples:
                if sample.name == "sumun_dns_queries_total":
                    self.report.queries += int(sample.value)
                elif sample.name == "sumun_dns_responses_total" and sample.labels["rcode"] == "DROPPED":
                    self.report.dropped += int(sample.value)
                elif sample.name == "sumun_dns_responses_total":
                    self.report.responses += int(sample.value)


@contextmanager
def _process(command: Sequence[str], output: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with (output or Path(os.devnull)).open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _worker(supervisor: int, name: str) -> int | None:
    role, _, index = name.partition("-")
    return next((pid for pid in workers(supervisor) if words(pid)[4:6] == [role.encode(), index.encode()]), None)


def _await_stopped(pid: int) -> None:
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TtZX":
        time.sleep(0.001)


def _queued(port: int, pid: int) -> tuple[int, int]:
    """Datagrams at most that wait in this process's socket of this port, and those that found no room there."""
    octets = dropped = 0
    theirs = {file.stat().st_ino for file in Path(f"/proc/{pid}/fd").iterdir()}
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port and int(fields[9]) in theirs:
            octets += int(fields[4].rpartition(":")[2], 16)
            dropped += int(fields[12])
    return octets // _SMALLEST, dropped


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from _family(int(child))
    except OSError:
        return


def _proportional(pid: int) -> int:
    try:
        found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def capacity() -> int:
    """Queries a second that the filter answers at most beside whoever asks them, as a short run shows."""
    with tempfile.TemporaryDirectory() as folder:
        found = Soak(Path(folder), Plan(_TRIED, 0, 0, 0, 0)).run()
    return found.completed // _TRIED


def page(seconds: float, rate: int, most: int, report: Report) -> str:
    """What the document says of a run."""
    of_most = f", of {most:,} that are answered at most beside dnsperf" if most else ""
    return f"""\
{setting()} Two workers on the cores that dnsperf has too. {seconds:.0f} s at {rate:,} queries a second{of_most}: \
half of them for blocked names, half for names answered from cache, and {_FRESH} besides for names never seen. The \
list of {_LISTED:,} names and the configuration change every {_RELOAD} s, one or both upstreams stall for 3 s every \
{_STALL} s, and a worker is killed every {_KILL} s.

What is lost and not counted as dropped was in a worker when it was killed: in its socket, with upstreams, or in \
counts that it had not handed on, which nobody else can know. Just before each kill the worker is stopped and its \
socket looked into; with what may be with upstreams, and what comes within {_UNCOUNTED} s, that gives the most there \
can have been. The run fails where more is missing, or where memory grows.

{report}
"""


def main() -> None:
    """Print what came of it; the exit status says whether all is accounted for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=0, help="queries a second; else half of what is answered at most")
    options = parser.parse_args()
    most = 0 if options.rate else capacity()
    rate = options.rate or most // 2
    with tempfile.TemporaryDirectory() as folder:
        report = Soak(Path(folder), Plan(options.seconds, rate, _RELOAD, _STALL, _KILL)).run()
    text = page(options.seconds, rate, most, report)
    print(text)
    report.check()
    if options.seconds >= _LONG:
        put("soak.py", "Soak: `make soak`", text)


if __name__ == "__main__":
    main()
