"""Network namespaces as network segments: real clients with addresses of their own on one machine.

seg-… (10.10.0.2)  ─┐
seg-… (10.20.0.2)  ─┼─ filter (…1, 10.99.0.1) ── internet (198.51.100.1, .53, .80)
seg-… (10.30.0.2)  ─┘
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

FILTER_ADDRESS = "10.99.0.1"
ORIGIN_ADDRESS = "198.51.100.80"
RESOLVER_ADDRESS = "198.51.100.53"
CLIENTS = {"external-facing": "10.10.0.2", "military-use": "10.20.0.2", "hq-network": "10.30.0.2"}


def need_namespaces() -> None:
    """Skip with a reason where namespaces cannot be made."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if not shutil.which("ip"):
        pytest.skip("network namespaces need `ip` (Debian: iproute2)")
    probe = subprocess.run(["ip", "netns", "add", "sumun-probe"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"this machine makes no network namespaces: {probe.stderr.strip()}")
    subprocess.run(["ip", "netns", "del", "sumun-probe"], check=True)


def _ip(*words: str, inside: str | None = None) -> None:
    prefix = ["ip", "netns", "exec", inside] if inside else []
    subprocess.run([*prefix, "ip", *words], check=True, capture_output=True, text=True)


@dataclass
class Net:
    """Names of the namespaces of one test run."""

    tag: str
    made: list[str] = field(default_factory=list)

    def name(self, role: str) -> str:
        return f"sumun-{self.tag}-{role}"

    def command(self, role: str, *words: str) -> list[str]:
        """The command line that runs these words inside the namespace."""
        return ["ip", "netns", "exec", self.name(role), *words]

    def add(self, role: str) -> str:
        name = self.name(role)
        _ip("netns", "add", name)
        self.made.append(name)
        _ip("link", "set", "lo", "up", inside=name)
        resolv = Path("/etc/netns") / name / "resolv.conf"
        resolv.parent.mkdir(parents=True)
        server = RESOLVER_ADDRESS if role == "filter" else FILTER_ADDRESS
        resolv.write_text(f"nameserver {server}\noptions timeout:5 attempts:2\n")
        return name

    def link(self, left: str, right: str, left_address: str, right_address: str, device: str) -> None:
        """Join two namespaces by a veth pair, with an address at each end."""
        ends = (f"{device}a", f"{device}b")
        _ip(
            "link",
            "add",
            ends[0],
            "netns",
            self.name(left),
            "type",
            "veth",
            "peer",
            "name",
            ends[1],
            "netns",
            self.name(right),
        )
        for role, end, address in ((left, ends[0], left_address), (right, ends[1], right_address)):
            _ip("address", "add", address, "dev", end, inside=self.name(role))
            _ip("link", "set", end, "up", inside=self.name(role))

    def remove(self) -> None:
        for name in self.made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
            shutil.rmtree(Path("/etc/netns") / name, ignore_errors=True)


@contextmanager
def three_segments() -> Iterator[Net]:
    """Three client namespaces around a filter, and an internet behind it."""
    net = Net(str(os.getpid()))
    try:
        net.add("filter")
        net.add("internet")
        _ip("address", "add", f"{FILTER_ADDRESS}/32", "dev", "lo", inside=net.name("filter"))
        net.link("filter", "internet", "198.51.100.1/24", f"{RESOLVER_ADDRESS}/24", "up")
        _ip("address", "add", f"{ORIGIN_ADDRESS}/24", "dev", "upb", inside=net.name("internet"))
        for number, (role, address) in enumerate(CLIENTS.items()):
            net.add(role)
            gateway = address.rpartition(".")[0] + ".1"
            net.link("filter", role, f"{gateway}/24", f"{address}/24", f"s{number}")
            _ip("route", "add", "default", "via", gateway, inside=net.name(role))
        yield net
    finally:
        net.remove()
