"""Compiles large lists into one file, in a process of its own: ``python -m sumun.loading.compiler`` reads a job.

A process of its own, since a million names take seconds and memory that a serving process has not to spare.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from sumun.catalogue.guard import NOBODY, Guard
from sumun.catalogue.lists import Refused, parse_list
from sumun.loading.sources import MAX_LIST, LoadError
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.model.service import Match, Pattern
from sumun.policy.packed_index import pack

REFUSALS_KEPT = 100
"""Refusals of one list that are kept to be shown; all are counted."""
_MAX_GLOBS = 10_000
"""Of one list: each costs every look-up below its tail, and is held in every process."""
_MAX_PARTIAL = 1_000
"""Rules of one list that leave names out: each is a label of its own, and an index has room for some 65,000."""
STARVED = 75
"""Exit status: the machine has nothing to spare for whoever works in its idle time only."""
_LOOK, _ENOUGH = 2.0, 0.25
"""Seconds from one look at what was spared to the next, and what must have been, in parts of a core."""
_FORMAT = 4
"""Changes whenever the same lists would give another index."""


@dataclass(frozen=True, slots=True)
class LargeList:
    """One list of a job."""

    id: str
    format: str
    path: str
    sha256: str
    guard: bool


@dataclass(frozen=True, slots=True)
class Job:
    """What goes into one index."""

    lists: tuple[LargeList, ...]
    guarded: tuple[str, ...]
    """Names that no list with ``guard`` may take down."""

    @property
    def key(self) -> str:
        """The same for what gives the same index, and for nothing else."""
        content = [_FORMAT, [[e.id, e.format, e.sha256, e.guard] for e in self.lists], self.guarded]
        return sha256(json.dumps(content).encode()).hexdigest()[:32]


def compiled(job: Job) -> Iterator[bytes | memoryview]:
    """The index piece by piece; raises LoadError where a list is no longer what the job says."""
    about: dict[str, Any] = {"lists": {}}
    return pack(_entries(job, about["lists"]), about)


def _entries(job: Job, told: dict[str, Any]) -> Iterator[tuple[Pattern, str]]:
    guard = Guard(map(DomainName, job.guarded))
    for entry in job.lists:
        refusals: list[Refused] = []
        refused, bounds = 0, _Bounds()
        for item in parse_list(_text(entry), entry.format, guard if entry.guard else NOBODY):
            bounded = bounds.held(item) if isinstance(item, Entry) else item
            if isinstance(bounded, Entry):
                yield bounded.pattern, bounded.filed_as(entry.id)
                continue
            refused += 1
            if len(refusals) < REFUSALS_KEPT:
                refusals.append(bounded)
        told[entry.id] = {"refused": refused, "refusals": [asdict(refusal) for refusal in refusals]}


class _Bounds:
    """Refuses what there would be too much of in one list."""

    def __init__(self) -> None:
        self._globs = self._partial = 0

    def held(self, entry: Entry) -> Entry | Refused:
        """The entry, or why it is one too many."""
        if entry.pattern.match is Match.GLOB:
            self._globs += 1
            if self._globs > _MAX_GLOBS:
                return Refused(0, entry.pattern.text, f"more than {_MAX_GLOBS:,} patterns with an asterisk")
        if entry.unless:
            self._partial += 1
            if self._partial > _MAX_PARTIAL:
                return Refused(0, entry.pattern.text, f"more than {_MAX_PARTIAL:,} rules that leave names out")
        return entry


def _text(entry: LargeList) -> str:
    with Path(entry.path).open("rb") as file:
        octets = file.read(MAX_LIST + 1)
    if sha256(octets).hexdigest() != entry.sha256:
        raise LoadError(f"reading `{entry.path}`: it changed while it was read")
    try:
        return octets.decode()
    except UnicodeDecodeError as why:
        line = octets.count(b"\n", 0, why.start) + 1
        raise LoadError(f"reading `{entry.path}`: line {line} is not UTF-8: save the file as UTF-8") from None


def _in_idle_time() -> None:
    """Leave the processor to whoever wants it, at once.

    A low priority alone does not: what runs may finish its slice, some milliseconds, however low its priority
    (sched(7), SCHED_IDLE). Where no core is ever idle there would be no end: then this process ends as ``STARVED``.
    """
    if not hasattr(os, "SCHED_IDLE"):
        return
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        return
    spent = time.process_time()

    def look(*_: object) -> None:
        nonlocal spent
        before, spent = spent, time.process_time()
        if spent - before < _ENOUGH * _LOOK:
            os._exit(STARVED)  # to put things in order would take time that there is not

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)


def main() -> int:
    """Read a job from standard input, write the index to standard output; 1 with a message on standard error.

    With ``--idle`` in idle time, or not at all: then it is ``STARVED``.
    """
    os.nice(10)  # whoever serves goes first
    if "--idle" in sys.argv:
        _in_idle_time()
    given = json.load(sys.stdin)
    job = Job(tuple(LargeList(**entry) for entry in given["lists"]), tuple(given["guarded"]))
    try:
        for piece in compiled(job):
            sys.stdout.buffer.write(piece)
    except (LoadError, OSError, ValueError) as why:
        sys.stderr.write(str(why))
        return 1
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # it is done
    return 0


if __name__ == "__main__":
    sys.exit(main())
