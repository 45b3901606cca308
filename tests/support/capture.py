"""Every packet on a device, counted while it runs: what was sent cannot be overlooked.

    python -m tests.support.capture DEVICE

Says ``ready``, and at the end of its standard input prints as JSON how many TCP segments it has seen, and how many
frames, questions to resolvers among them, hold one of the words that it was given.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ALL = 3
"""ETH_P_ALL, linux/if_ether.h."""


def main(device: str, words: Sequence[str]) -> None:
    seen: Counter[str] = Counter()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL)) as sock:
        sock.bind((device, 0))
        sock.setblocking(False)
        print("ready", flush=True)
        ending = False
        while True:
            ready, _, _ = select.select([sock] if ending else [sock, sys.stdin], [], [], 0.3 if ending else None)
            if sock in ready:
                _count(sock.recv(65536), words, seen)
            elif ending:
                break
            ending = ending or sys.stdin in ready
    print(json.dumps(seen))


def _count(frame: bytes, words: Sequence[str], seen: Counter[str]) -> None:
    if frame[12:14] != b"\x08\x00" or frame[23] not in (6, 17):  # IPv4, and TCP or UDP
        return
    seen["tcp"] += frame[23] == 6
    seen["words"] += any(word.encode() in frame for word in words)


@dataclass
class Capture:
    """A started one."""

    process: subprocess.Popen[str]
    seen: dict[str, Any] = field(default_factory=dict)

    def end(self) -> dict[str, int]:
        """Stop it and read what it has seen."""
        if not self.seen:
            said, _ = self.process.communicate(timeout=30)
            self.seen = {"tcp": 0, "words": 0} | json.loads(said.splitlines()[-1])
        return self.seen


@contextmanager
def capturing(prefix: Sequence[str], device: str, *words: str) -> Iterator[Capture]:
    """Capture in the namespace that ``prefix`` leads to."""
    command = [*prefix, sys.executable, "-m", "tests.support.capture", device, *words]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        assert process.stdout
        assert process.stdout.readline().strip() == "ready"
        yield Capture(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
