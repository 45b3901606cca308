"""``sumun up`` on loopback: what an administrator does to it while it serves."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.edns
import dns.message
import dns.query
import dns.rcode
import httpx
import pytest

from tests.support import configs
from tests.support.internet import Internet, internet
from tests.support.running import SUMUN, Running, children, free_ports, started, words, workers, zygotes

pytestmark = pytest.mark.e2e
MILITARY, EXTERNAL, STRANGER = "127.0.0.3", "127.0.0.2", "127.0.0.9"
NAMES = ["allowed.example", "chatgpt.com", "chat.deepseek.com"]


@dataclass
class Filter:
    running: Running
    path: Path
    config: dict[str, Any]
    internet: Internet
    origin_https: int

    @property
    def dns_port(self) -> int:
        return int(self.config["listen"]["dns"]["port"])

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.config['listen']['proxy']['port']}"

    def ask(self, client: str, name: str, kind: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, kind, use_edns=0)
        return dns.query.udp(query, "127.0.0.1", port=self.dns_port, source=client, timeout=20)

    def curl(self, client: str, *words: str) -> str:
        """Status of what curl gets through the proxy."""
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--interface", client, "-x", self.proxy]
        return subprocess.run([*command, *words], capture_output=True, text=True, timeout=30, check=False).stdout


@contextmanager
def filtering(folder: Path, **changes: Any) -> Iterator[Filter]:
    """An internet, a configuration that leads to it, and the filter between."""
    dns_port, proxy, http, https, console, resolver, origin_http, origin_https = free_ports(8)
    with internet(folder, f"127.0.0.1:{resolver}", f"127.0.0.1:{origin_http}:{origin_https}", NAMES) as outside:
        config = configs.variant(
            state=str(folder / "state"),
            upstreams=[f"udp://127.0.0.1:{resolver}"],
            upstream_ca=str(outside.ca),
            destinations={"internal": ["127.0.0.0/8"]},
            listen={
                "dns": {"address": "127.0.0.1", "port": dns_port, "workers": 2},
                "proxy": {"address": "127.0.0.1", "port": proxy, "workers": 2},
                "pages": {"address": "127.0.0.1", "http": http, "https": https},
                "console": {"address": "127.0.0.1", "port": console},
            },
            **changes,
        )
        path = configs.write(folder / "sumun.yaml", config)
        with started(path, state=folder / "state", console=f"http://127.0.0.1:{console}") as running:
            yield Filter(running, path, config, outside, origin_https)


@pytest.fixture(scope="module")
def filter_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filter]:
    with filtering(tmp_path_factory.mktemp("filter")) as found:
        yield found


def address(message: dns.message.Message) -> str:
    return ",".join(str(record) for rrset in message.answer for record in rrset)


def blocking_ede(message: dns.message.Message) -> list[int]:
    return [int(option.code) for option in message.options if isinstance(option, dns.edns.EDEOption)]


def test_dns_by_segment(filter_: Filter) -> None:
    blocked = filter_.ask(MILITARY, "chat.deepseek.com")
    assert (address(blocked), blocking_ede(blocked)) == ("127.0.0.1", [15])
    for kind in ("AAAA", "HTTPS"):
        assert address(filter_.ask(MILITARY, "chat.deepseek.com", kind)) == ""
    assert address(filter_.ask(MILITARY, "allowed.example")) == "127.0.0.1"
    stranger = filter_.ask(STRANGER, "allowed.example")
    assert (stranger.rcode(), blocking_ede(stranger)) == (dns.rcode.REFUSED, [18])


def test_proxy_by_segment(filter_: Filter) -> None:
    authority = ["--cacert", str(filter_.running.state / "ca" / "mitmproxy-ca-cert.pem")]
    origin = ["--cacert", str(filter_.internet.ca)]
    allowed = f"https://chatgpt.com:{filter_.origin_https}/"
    assert filter_.curl(MILITARY, *authority, "https://chat.deepseek.com/") == "403"
    assert filter_.curl(MILITARY, *authority, allowed) == "403"
    assert filter_.curl(EXTERNAL, *origin, allowed) == "200"
    assert filter_.curl(STRANGER, "http://allowed.example/") == "403"


def test_healthcheck_readiness_and_console(filter_: Filter) -> None:
    done = subprocess.run([*SUMUN, "healthcheck", "-c", str(filter_.path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("ok")) == (0, 3), done.stdout
    ready = httpx.get(f"{filter_.running.console}/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)


class Load:
    """Clients that ask without pause from several threads; every question must be answered."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask, self.asked, self.failures = ask, 0, list[str]()
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(3)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self._ask()
            except Exception as error:  # noqa: BLE001  # whatever it is, it is an answer that did not come
                self.failures.append(repr(error))
            self.asked += 1

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


def test_reload_under_load_loses_nothing(filter_: Filter) -> None:
    """Valid and invalid configurations in turn, by signal: no query unanswered, no connection refused."""

    def query() -> None:
        assert address(filter_.ask(MILITARY, "chat.deepseek.com")) == "127.0.0.1"
        assert address(filter_.ask(EXTERNAL, "allowed.example")) == "127.0.0.1"

    def connect() -> None:
        with socket.create_connection(("127.0.0.1", filter_.config["listen"]["proxy"]["port"]), 5) as client:
            client.sendall(b"GET http://chat.deepseek.com/ HTTP/1.1\r\nHost: chat.deepseek.com\r\nAccept: */*\r\n\r\n")
            assert client.recv(64).startswith(b"HTTP/1.1 403")

    running, process = filter_.running, filter_.running.process
    with Load(query) as queries, Load(connect) as connections:
        number = 0
        while number < 3 or queries.asked <= 100 or connections.asked <= 50:
            number += 1
            heard = len(running.said)
            rules = [{"id": f"extra-{number}", "action": "block", "domains": [f"extra-{number}.example"]}]
            configs.write(filter_.path, filter_.config | {"rules": rules})
            process.send_signal(signal.SIGHUP)
            running.await_said("is in force", after=heard)
            heard = len(running.said)
            configs.write(filter_.path, filter_.config | {"rules": [{"id": "x", "action": "blok"}]})
            process.send_signal(signal.SIGHUP)
            running.await_said("blok", after=heard)
    configs.write(filter_.path, filter_.config)
    assert (queries.failures, connections.failures) == ([], [])


def test_a_change_of_the_file_is_enough(filter_: Filter) -> None:
    heard = len(filter_.running.said)
    rules = [{"id": "seen", "action": "block", "domains": ["allowed.example"]}]
    configs.write(filter_.path, filter_.config | {"rules": rules})
    for worker in ("dns-0", "dns-1"):
        filter_.running.await_said(f"{worker}: policy", after=heard)
    assert blocking_ede(filter_.ask(MILITARY, "allowed.example")) == [15]
    heard = len(filter_.running.said)
    configs.write(filter_.path, filter_.config)
    for worker in ("dns-0", "dns-1", "proxy-0", "proxy-1", "console-0"):
        filter_.running.await_said(f"{worker}: policy", after=heard)
    assert address(filter_.ask(MILITARY, "allowed.example")) == "127.0.0.1"


def test_killed_processes_come_back_and_no_counter_goes_back(filter_: Filter) -> None:
    filter_.ask(MILITARY, "chat.deepseek.com")
    before, heard = filter_.running.decisions(), len(filter_.running.said)
    supervisor = filter_.running.process.pid
    killed = children(supervisor)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    for role in ("dns-0", "dns-1", "proxy-0", "proxy-1", "console-0"):
        filter_.running.await_said(f"{role}: policy", after=heard)
    await_ready(filter_)
    after = filter_.running.decisions()
    assert all(after[key] >= count for key, count in before.items())
    await_that(lambda: (len(zygotes(supervisor)), len(workers(supervisor))) == (4, 5))
    assert not set(children(supervisor)) & set(killed), "nobody is left unburied"
    assert address(filter_.ask(MILITARY, "chat.deepseek.com")) == "127.0.0.1"


def await_ready(filter_: Filter, limit: float = 60) -> None:
    """Ask the console until it says ready: there is no event to wait for from outside."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        try:
            if httpx.get(f"{filter_.running.console}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        threading.Event().wait(0.05)
    raise AssertionError("not ready")


def await_that(holds: Callable[[], bool], limit: float = 60) -> None:
    end = time.monotonic() + limit
    while not holds():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def flags(pid: int) -> int:
    """Of a process, as the kernel has them: proc_pid_stat(5)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[6])


def test_a_killed_worker_answers_again_without_a_new_interpreter(filter_: Filter) -> None:
    supervisor, only_forked = filter_.running.process.pid, 0x40  # PF_FORKNOEXEC of linux/sched.h
    before = zygotes(supervisor)
    for role, index in ((b"dns", b"0"), (b"dns", b"1"), (b"proxy", b"1"), (b"console", b"0")):
        (pid,) = (pid for pid in workers(supervisor) if words(pid)[4:6] == [role, index])
        heard = len(filter_.running.said)
        os.kill(pid, signal.SIGKILL)
        filter_.running.await_said(f"{role.decode()}-{index.decode()}: policy", after=heard)
        (heir,) = (pid for pid in workers(supervisor) if words(pid)[4:6] == [role, index])
        assert heir != pid
        assert flags(heir) & only_forked
        assert Path(f"/proc/{heir}/stat").read_text().rpartition(")")[2].split()[3] == str(heir), "its own session"
    await_ready(filter_)
    assert address(filter_.ask(MILITARY, "chat.deepseek.com")) == "127.0.0.1"
    assert zygotes(supervisor) == before
    assert [bool(flags(pid) & only_forked) for pid in before].count(False) == 1, "the first zygote, and nobody else"


def test_workers_outlive_the_zygotes_that_made_them(filter_: Filter) -> None:
    supervisor = filter_.running.process.pid
    serving, before = workers(supervisor), zygotes(supervisor)
    for pid in before:
        assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
        assert len(list(Path(f"/proc/{pid}/fd").iterdir())) == 4, "the standard ones and its orders"
        os.kill(pid, signal.SIGKILL)
    await_that(lambda: len(zygotes(supervisor)) == 4 and not set(zygotes(supervisor)) & set(before))
    assert workers(supervisor) == serving
    assert address(filter_.ask(MILITARY, "chat.deepseek.com")) == "127.0.0.1"


def test_every_attempt_is_in_the_log_and_in_the_metric(tmp_path: Path) -> None:
    with filtering(tmp_path) as found:
        for client in (MILITARY, EXTERNAL, "127.0.0.1", STRANGER):
            for name in ("chat.deepseek.com", "chatgpt.com", "allowed.example"):
                for _ in range(3):
                    found.ask(client, name)
                found.curl(client, "-k", f"https://{name}:{found.origin_https}/")
                found.curl(client, f"http://{name}/")
        await_that(lambda: found.running.decisions().total() >= 45)  # answers come before their counts
        scraped = found.running.decisions()
        assert found.running.stop() == 0
        assert found.running.logged() == scraped
    by_point = {point: sum(n for key, n in scraped.items() if key[0] == point) for point in ("dns", "gate", "http")}
    # two services in three segments, and a stranger's three names; ChatGPT passes the gate of two segments
    assert by_point == {"dns": 3 * (2 * 3 + 3), "gate": 2 + 3, "http": (3 + 1) + 2 * 3 + 3}


def test_no_process_outlives_the_supervisor(tmp_path: Path) -> None:
    with filtering(tmp_path) as found:
        family = children(found.running.process.pid)
        assert len(workers(found.running.process.pid)) == 5
        found.running.process.kill()
        end = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in family) and time.monotonic() < end:
            threading.Event().wait(0.05)
        assert not [pid for pid in family if Path(f"/proc/{pid}").exists()]


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = free_ports(4)
        listen = {
            "dns": {"port": ports[0]}, "proxy": {"port": port}, "pages": {"http": ports[1], "https": ports[2]},
            "console": {"port": ports[3]},
        }  # fmt: skip
        path = configs.write(tmp_path / "sumun.yaml", configs.variant(listen=listen, state=str(tmp_path / "state")))
        done = subprocess.run([*SUMUN, "up", "-c", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"port `{port}`" in done.stderr
    assert "never awaited" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_faulty_configuration_does_not_start(tmp_path: Path) -> None:
    config = configs.variant(state=str(tmp_path / "state"), unknown_clients="nobody")
    path = configs.write(tmp_path / "sumun.yaml", config)
    done = subprocess.run([*SUMUN, "up", "-c", str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "unknown_clients" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not shutil.which("dnsperf"), reason="`dnsperf` is not installed")
def test_dnsperf_is_answered_while_it_reloads(filter_: Filter, tmp_path: Path) -> None:
    queries = tmp_path / "queries"
    queries.write_text("chat.deepseek.com A\nallowed.example A\nchatgpt.com AAAA\n")
    load = subprocess.Popen(
        [
            "dnsperf", "-s", "127.0.0.1", "-p", str(filter_.dns_port), "-a", MILITARY, "-d", str(queries),
            "-l", "4", "-Q", "2000",
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while load.poll() is None:
        heard = len(filter_.running.said)
        filter_.running.process.send_signal(signal.SIGHUP)
        filter_.running.await_said("is in force", after=heard)
    said, _ = load.communicate()
    assert "Queries lost:         0" in said, said
