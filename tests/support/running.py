"""The whole filter as a process, as an administrator starts it."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

SUMUN = [sys.executable, "-m", "sumun"]
_SERVING = "Sumun is serving"


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, for TCP and UDP on all of loopback.

    From below those that the kernel gives to clients (32,768 and up), which may take one before it is listened on.
    """
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < 2 * count:
            port = random.randrange(12_000, 32_000)
            pair = [socket.socket(type=kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
            sockets += pair
            try:
                for held in pair:
                    held.bind(("", port))
            except OSError:
                for _ in pair:
                    sockets.pop().close()
        return [held.getsockname()[1] for held in sockets[::2]]
    finally:
        for held in sockets:
            held.close()


def children(pid: int) -> list[int]:
    """Processes whose parent this one is."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def workers(supervisor: int) -> list[int]:
    """Those of its children that serve."""
    return _running_as(b"worker", supervisor)


def zygotes(supervisor: int) -> list[int]:
    """Those of its children that workers are forked from."""
    return _running_as(b"zygote", supervisor)


def _running_as(command: bytes, supervisor: int) -> list[int]:
    return [pid for pid in children(supervisor) if words(pid)[2:4] == [b"sumun", command]]


def words(pid: int) -> list[bytes]:
    """A command line; nothing if the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


@dataclass
class Running:
    """A started ``sumun up`` and what it said so far."""

    process: subprocess.Popen[str]
    state: Path
    console: str
    """Base URL of the console, as seen from the tests."""
    prefix: Sequence[str] = ()
    """Words that put a command into the filter's namespace."""
    said: list[str] = field(default_factory=list)
    _more: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)

    def listen(self) -> Self:
        self._reader.start()
        return self

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr as lines:
            for line in lines:
                with self._more:
                    self.said.append(line)
                    self._more.notify_all()
        with self._more:
            self.said.append("")
            self._more.notify_all()

    def await_said(self, text: str, *, after: int = 0, limit: float = 60) -> int:
        """Wait until a line with this text is on standard error; the number of lines read by then."""
        with self._more:
            found = self._more.wait_for(
                lambda: any(text in line for line in self.said[after:]) or "" in self.said, limit
            )
            if not found or not any(text in line for line in self.said[after:]):
                raise AssertionError(f"`{text}` was not said; what was:\n{''.join(self.said)}")
            return len(self.said)

    def events(self) -> list[dict[str, Any]]:
        """All events written so far."""
        path = self.state / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def metrics(self) -> str:
        if self.prefix:
            return subprocess.run(
                [*self.prefix, "curl", "-s", f"{self.console}/metrics"], check=True, capture_output=True, text=True
            ).stdout
        return httpx.get(f"{self.console}/metrics", timeout=60).text

    def decisions(self) -> Counter[tuple[str, ...]]:
        """``sumun_decisions_total`` by (point, segment, service, action, mode)."""
        keys = ("point", "segment", "service", "action", "mode")
        found: Counter[tuple[str, ...]] = Counter()
        for family in text_string_to_metric_families(self.metrics()):
            for sample in family.samples:
                if sample.name == "sumun_decisions_total":
                    found[tuple(sample.labels[key] for key in keys)] += int(sample.value)
        return found

    def logged(self) -> Counter[tuple[str, ...]]:
        """The counts of all events by the same labels."""
        found: Counter[tuple[str, ...]] = Counter()
        for event in self.events():
            said = event["sumun"]
            if "count" not in said:
                continue  # what became of a grant is no decision
            key = (said["point"], said["segment"], said.get("service") or "none", said["action"], said["mode"])
            found[key] += said["count"]
        return found

    def stop(self) -> int:
        """SIGTERM and wait; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self._reader.join(10)
        return status


@contextmanager
def started(
    config: Path, *, state: Path, console: str, prefix: Sequence[str] = (), command: str = "up"
) -> Iterator[Running]:
    """``sumun up`` until the end of the block; ended by its process id whatever happens."""
    process = subprocess.Popen(
        [*prefix, *SUMUN, command, "-c", str(config)],
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=os.environ | {"NO_COLOR": "1"},
    )  # fmt: skip
    running = Running(process, state, console, prefix).listen()
    try:
        running.await_said(_SERVING)
        yield running
    finally:
        try:
            running.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
