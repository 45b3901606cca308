"""The zygote's own side, in processes of its own: pytest itself is not one to fork."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_PROGRAM = """
import json, os, random, signal, socket, sys
from pathlib import Path
from sumun.cli.forking import forked, show_as
random.seed(7)
with socket.socket(fileno=int(sys.argv[1])) as orders:
    order = forked(orders)
if order:
    ready, lifeline = order.files
    show_as(["sumun", "worker", order.name])
    told = {
        "index": int(order.name), "session": os.getsid(0) == os.getpid(), "drawn": random.random(),
        "files": sorted(int(path.name) for path in Path("/proc/self/fd").iterdir()),
        "shown": Path("/proc/self/cmdline").read_bytes().rstrip(b"\\0").decode().split("\\0"),
        "ends": signal.getsignal(signal.SIGTERM) is signal.SIG_DFL,
        "given": [0, 1, 2, ready, lifeline],
    }
    os.write(ready, json.dumps(told).encode())
    os.read(lifeline, 1)
    sys.exit(7)
"""


@dataclass
class Zygote:
    """A process, and our end of its orders."""

    process: subprocess.Popen[str]
    orders: socket.socket

    def fork(self, index: int) -> tuple[int, int, int]:
        """Order a worker: our ends of what it writes and of its lifeline, and its id."""
        ready, ready_write = os.pipe()
        lifeline_read, lifeline = os.pipe()
        socket.send_fds(self.orders, [str(index).encode()], [ready_write, lifeline_read])
        os.close(ready_write)
        os.close(lifeline_read)
        return ready, lifeline, int(self.orders.recv(32))


@contextmanager
def zygote(program: str = _PROGRAM) -> Iterator[Zygote]:
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    command = [sys.executable, "-c", program, str(theirs.fileno())]
    with theirs:
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
    with ours, process:
        ours.settimeout(60)
        try:
            yield Zygote(process, ours)
        finally:
            process.kill()


def test_workers_have_nothing_of_the_zygote_and_nothing_in_common() -> None:
    with zygote() as parent:
        drawn = set[float]()
        for index in (0, 11):
            ready, lifeline, pid = parent.fork(index)
            told = json.loads(os.read(ready, 4096))
            assert (told["index"], told["shown"]) == (index, ["sumun", "worker", str(index)])
            assert told["session"]
            assert told["ends"]
            assert len(set(told["files"]) - set(told["given"])) == 1, "the folder of descriptors, while it is read"
            assert pid != parent.process.pid
            drawn.add(told["drawn"])
            os.close(lifeline)
            assert os.read(ready, 1) == b"", "nobody else holds its end"
            os.close(ready)
        assert len(drawn) == 2
        assert random.Random(7).random() not in drawn


def test_a_zygote_hears_no_signal_and_ends_with_its_orders() -> None:
    with zygote() as parent:
        parent.fork(0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            parent.process.send_signal(number)
        ready, _, pid = parent.fork(1)
        assert pid
        assert os.read(ready, 1)
        parent.orders.close()
        assert parent.process.wait(60) == 0


def test_no_worker_begins_that_nobody_knows_of() -> None:
    with zygote() as parent:
        ready, ready_write = os.pipe()
        socket.send_fds(parent.orders, [b"0"], [ready_write, ready_write])
        os.close(ready_write)
        parent.orders.close()  # before its id could be read
        assert parent.process.wait(60) == 0
        assert os.read(ready, 1) == b""
        os.close(ready)


def test_a_zygote_does_not_fork_beside_another_thread() -> None:
    thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    with zygote(thread + _PROGRAM) as parent:
        ready, ready_write = os.pipe()
        socket.send_fds(parent.orders, [b"0"], [ready_write, ready_write])
        os.close(ready_write)
        assert parent.process.wait(60) == 1
        assert parent.process.stderr
        assert "2 threads run here" in parent.process.stderr.read()
        assert os.read(ready, 1) == b""
        os.close(ready)
