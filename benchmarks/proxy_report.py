"""What benchmarks/proxy.py measured, as a table with its reading."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from dataclasses import dataclass
from importlib.metadata import version

import pages
from proxy_peers import IDLE_TUNNELS, Peer
from report import setting

_READING = """\
In brackets is the processor time of the proxy for one, user and system, which other programs on the machine disturb \
less than the rate; "time" is the peer's divided by ours.

- *Refused* is the same in both: the client's address is none that is served. Squid says so by an ACL \
(`http_access deny`), Sumun by policy, and records the attempt. Both answer by a 403 and close.
- *Led here by the firewall*: nothing is decrypted, and the server name of the ClientHello alone decides. Squid peeks \
and splices (`ssl_bump`); both stand behind the same nftables redirect, in a network namespace.
- *Block page*: ours is the whole page with its reasons in the reader's language and a signed form, and each attempt \
is recorded; over plain HTTP the gate answers by itself, and a page whose words are known takes {page:.2f} ms of \
processor time to make. mitmproxy's is one line, by the script `benchmarks/block.py`, \
with `connection_strategy=lazy`: by default it would dial the blocked origin, and be slower.
- *Inspected*: a service of the catalogue that a rule on models concerns; each request is decided on and recorded. \
mitmproxy has its default addons and no script.
- *Two workers* are compared with one where the load leaves them the cores: a page costs its client next to nothing. \
Tunnels would not show it on two cores, since client and origin need most of one.
"""


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    key: str
    title: str
    peers: tuple[Peer, ...]
    """Ours first."""
    goals: tuple[float, ...]
    """For each of the others, the ratio of rates that we mean to reach at least."""


def report(cases: list[Case], how: str) -> str:
    """The table, and what it means; ``how`` it was measured."""
    page = pages.cost(pages.rendering(*pages.CASES["block, page"]))
    lines = [
        f"{setting()} {', '.join(_versions())}. {how}",
        "",
        "| | Sumun | peer | | ratio | time | goal |",
        "|---|---|---|---|---|---|---|",
        *(line for case in cases for line in _lines(case)),
    ]
    if cases and "idle" in cases[0].peers[0].rates:
        ours, *others = cases[0].peers
        title = f"MB more with {IDLE_TUNNELS:,} idle tunnels"
        lines += [
            f"| {title} | {_rate(ours, 'idle'):.1f} | {peer.name} | {_rate(peer, 'idle'):.1f} | | | at most 30 |"
            for peer in others
            if "idle" in peer.rates
        ]
    return "\n".join([*lines, "", _READING.format(page=page)])


def _lines(case: Case) -> list[str]:
    ours, *others = case.peers
    return [
        f"| {case.title} | {_cell(ours, case.key)} | {peer.name} | {_cell(peer, case.key)} "
        f"| {_rate(ours, case.key) / _rate(peer, case.key):.2f} "
        f"| {_cost(peer, case.key) / _cost(ours, case.key):.2f} | {goal:g} |"
        for peer, goal in zip(others, case.goals, strict=True)
    ]


def _cell(peer: Peer, case: str) -> str:
    unit = "µs/MB" if case == "bulk" else "µs"
    return f"{_rate(peer, case):,.0f} ({_cost(peer, case):,.0f} {unit})"


def _rate(peer: Peer, case: str) -> float:
    return statistics.median(peer.rates[case])


def _cost(peer: Peer, case: str) -> float:
    return statistics.median(peer.costs[case])


def _versions() -> list[str]:
    found = [f"Sumun {version('sumun')}", f"mitmproxy {version('mitmproxy')}"]
    if shutil.which("squid"):
        said = subprocess.run(["squid", "-v"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
        found.append(f"Squid {said.rpartition(' ')[2]}")
    return found
