"""Workers that ail are replaced by real ones, and no connection is refused meanwhile."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import configs
from tests.support.running import Running, free_ports, workers

pytestmark = pytest.mark.e2e

SCRIPT = """
import asyncio, logging, sys
from pathlib import Path
from sumun.cli.supervisor import Care, Supervisor
logging.basicConfig(level=logging.INFO)
care = Care("proxy", 1, memory=int(sys.argv[2]) or None, drain=5.0, stalled=float(sys.argv[3]))
ready = lambda: print("Sumun is serving", file=sys.stderr, flush=True)
asyncio.run(Supervisor(Path(sys.argv[1]), [care]).run(on_ready=ready))
"""


@contextmanager
def supervised(folder: Path, *, memory: int, stalled: float) -> Iterator[tuple[Running, int]]:
    ports = free_ports(5)
    listen = {
        "dns": {"port": ports[0]}, "proxy": {"port": ports[1]}, "pages": {"http": ports[2], "https": ports[3]},
        "console": {"port": ports[4]},
    }  # fmt: skip
    config = configs.variant(
        listen=listen, state=str(folder / "state"), upstreams=["udp://127.0.0.1:9"],
        destinations={"internal": ["127.0.0.0/8"]},
    )  # fmt: skip
    path = configs.write(folder / "sumun.yaml", config)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(memory), str(stalled)],
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    running = Running(process, folder / "state", "").listen()
    try:
        running.await_said("Sumun is serving")
        yield running, ports[1]
    finally:
        try:
            assert running.stop() == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


class Knocking:
    """Somebody who asks for the proxy's own page again and again, each time on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.refused = self.served = 0
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=60) as sock:
                    sock.sendall(b"GET /proxy.pac HTTP/1.1\r\nHost: x\r\n\r\n")
                    self.served += sock.recv(65536).startswith(b"HTTP/1.1 200 ")
            except ConnectionRefusedError:
                self.refused += 1
            except OSError:  # it was in the queue of one that stood still
                continue


def tunnel(port: int, to: int) -> socket.socket:
    """A tunnel through which nothing has gone but a ClientHello's first octets: it is the gate's until it ends."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.sendall(f"CONNECT 127.0.0.1:{to} HTTP/1.1\r\n\r\n".encode())
    assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
    return sock


def test_a_worker_that_stands_still_is_replaced(tmp_path: Path) -> None:
    with supervised(tmp_path, memory=0, stalled=4.0) as (running, port):
        (pid,) = workers(running.process.pid)
        knocking = Knocking(port)
        os.kill(pid, signal.SIGSTOP)
        heard = running.await_said("has not answered for 4 s")
        running.await_said("is in force", after=heard - 1)
        while pid in workers(running.process.pid):
            threading.Event().wait(0.05)
        served = knocking.served
        while knocking.served < served + 20:
            threading.Event().wait(0.05)
        knocking.stop()
        assert knocking.refused == 0


def test_a_worker_that_grows_is_replaced_and_its_connections_live_on(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as origin,
        supervised(tmp_path, memory=32, stalled=60.0) as (running, port),
    ):
        knocking = Knocking(port)
        (first, *_) = workers(running.process.pid)
        client = tunnel(port, origin.getsockname()[1])
        heard = running.await_said("MiB of at most 32")
        running.await_said("is in force", after=heard - 1)
        running.await_said("to end: a second signal", after=0)
        served = knocking.served
        while knocking.served < served + 20:
            threading.Event().wait(0.05)
        knocking.stop()
        assert knocking.refused == 0
        assert first in workers(running.process.pid) or client.recv(1) == b"", "it is there until it has drained"
        client.close()
