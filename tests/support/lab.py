"""A running filter between clients in network namespaces and an internet of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import configs
from tests.support.internet import Internet, internet
from tests.support.netns import (
    CLIENTS,
    FILTER_ADDRESS,
    ORIGIN_ADDRESS,
    RESOLVER_ADDRESS,
    Net,
    need_namespaces,
    three_segments,
)
from tests.support.running import Running, started


@dataclass
class Lab:
    net: Net
    running: Running
    internet: Internet
    ca: Path
    folder: Path

    def run(self, segment: str, *words: str) -> str:
        """Run a client inside a segment; its standard output."""
        done = subprocess.run(
            self.net.command(segment, *words), capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    def dig(self, segment: str, name: str, kind: str = "A") -> str:
        return self.run(segment, "dig", "+short", "+tries=1", f"@{FILTER_ADDRESS}", name, kind).strip()

    def curl(self, segment: str, *words: str, ca: Path | None = None, proxy: bool = True) -> tuple[str, str, str]:
        """Status, HTTP version and body."""
        way = ["-x", f"http://{FILTER_ADDRESS}:8080"] if proxy else []
        out = self.run(
            segment, "curl", "-s", "--cacert", str(ca or self.ca), *way, "-w", "\n%{http_code} %{http_version}", *words
        )
        body, _, tail = out.rpartition("\n")
        status, version = tail.split()
        return status, version, body


@contextmanager
def serving(
    folder: Path, names: Sequence[str], *, listen: dict[str, Any] | None = None, ports: str = "80:443", **changes: Any
) -> Iterator[Lab]:
    """The filter with a client in each of three segments; ``names`` are what there is outside, at these ports."""
    need_namespaces()
    for tool in ("dig", "curl"):
        if not shutil.which(tool):
            pytest.skip(f"`{tool}` is not installed")
    with three_segments() as net:
        in_filter, in_internet = net.command("filter"), net.command("internet")
        origin = f"{ORIGIN_ADDRESS}:{ports}"
        with internet(folder, f"{RESOLVER_ADDRESS}:53", origin, names, in_internet) as outside:
            config = configs.variant(
                state=str(folder / "state"),
                upstreams=["system"],
                upstream_ca=str(outside.ca),
                destinations={"internal": ["198.51.100.0/24"]},
                listen={
                    "dns": {"address": FILTER_ADDRESS, "port": 53},
                    "proxy": {"address": FILTER_ADDRESS, "port": 8080},
                    "pages": {"address": FILTER_ADDRESS, "http": 80, "https": 443},
                    "console": {"address": "127.0.0.1", "port": 8090},
                    **(listen or {}),
                },
            )
            for name, client in CLIENTS.items():
                config["segments"][name]["networks"] = [f"{client}/32"]
            path = configs.write(folder / "sumun.yaml", config | changes)
            state = folder / "state"
            with started(path, state=state, console="http://127.0.0.1:8090", prefix=in_filter) as running:
                yield Lab(net, running, outside, state / "ca" / "mitmproxy-ca-cert.pem", folder)
