"""One set of counts for all processes of a host, exact over restarts.

Every process keeps its values in memory-mapped files (prometheus_client's multi-process mode) that outlive it, even
when it is killed. The files belong to a slot, ``dns-0``, not to a process: whoever takes the slot goes on from the
counts that it finds, so nothing goes back, and the number of files does not grow with restarts. Whoever scrapes adds up
all slots.

A lock says that a slot is taken. If a process starts before its predecessor has ended, it takes a further slot of the
same role; the sums stay right.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import os
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from sumun.telemetry.faults import TelemetryFault
from sumun.telemetry.metrics import Metrics

log = logging.getLogger(__name__)

_IDENTITY = re.compile(r"[a-z]+-[0-9]+")
"""An underscore would upset how prometheus_client reads its file names."""
_SLOTS = 64
"""Processes of one identity at the same time; more is a fault somewhere else."""
_KINDS = ("counter", "histogram", "gauge_livesum", "gauge_livemin", "gauge_livemax")
_SIZE = 1 << 20
"""Octets reserved for a file at once: some five thousand series. Without blocks of their own, pages of a
memory-mapped file end the process with SIGBUS on a full disk."""
_held: list[int] = []
"""Descriptors of the locks of this process, for its lifetime."""


def share(folder: Path, identity: str) -> None:
    """Let the metrics of this process be counted in the folder; call once, before ``Metrics()``.

    ``identity`` is role and index, as ``dns-0``. Files that cannot be read are set aside as ``*.corrupt``. Raises
    TelemetryFault where the folder cannot hold files.
    """
    if not _IDENTITY.fullmatch(identity):
        raise ValueError(f"`{identity}` is not a role and an index, as in `dns-0`")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        slot = _take_slot(folder, identity)
        for kind in _KINDS:
            _prepare(folder / f"{kind}_{slot}.db")
    except OSError as fault:
        cause = (fault.strerror or str(fault)).lower()
        raise TelemetryFault(f"metrics in `{folder}`: {cause}: make room, or let this user write") from fault
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder.absolute())
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # library without types


def render(folder: Path, *others: Collector) -> bytes:
    """The text format 0.0.4 of all processes' metrics, and of these collectors."""
    registry = CollectorRegistry()
    for collector in (SharedCollector(folder), *others):
        registry.register(collector)
    return generate_latest(registry)


class SharedCollector(Collector):
    """Adds up the files; one that cannot be read is left out and counted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        """Every metric by name, those without any series yet too."""
        files = sorted(path for path in self._folder.glob("*.db") if _alive(path))
        sound = [path for path in files if is_sound(path)]
        merged = {metric.name: metric for metric in _merge(sound)}
        for known in Metrics(CollectorRegistry()).families():
            yield merged.pop(known.name, known)
        yield from merged.values()
        unreadable = Metric("sumun_metrics_unreadable_files", "Files of metrics left out or set aside", "gauge")
        damaged = len(files) - len(sound) + len(list(self._folder.glob("*.corrupt")))
        unreadable.add_sample(unreadable.name, {}, damaged)
        yield unreadable


def is_sound(path: Path) -> bool:
    """Whether the file is one that prometheus_client can read to its end; a missing or empty one is."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        return all(_is_entry(key, value) for key, value in _entries(data))
    except (struct.error, ValueError, TypeError, RecursionError):
        return False


def _take_slot(folder: Path, identity: str) -> str:
    for number in range(1, _SLOTS + 1):
        slot = identity if number == 1 else f"{identity}.{number}"
        fd = os.open(folder / f"{slot}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
        else:
            _held.append(fd)
            return slot
    raise TelemetryFault(f"metrics in `{folder}`: {_SLOTS} processes count as `{identity}`: stop those left over")


def _prepare(path: Path) -> None:
    """Leave a sound file with room to grow; at no time does a reader find none, or an empty one."""
    if not is_sound(path):
        aside = path.with_suffix(".db.corrupt")
        aside.unlink(missing_ok=True)
        os.link(path, aside)
        log.error("metrics `%s` cannot be read and start again from nought: kept as `%s`", path.name, aside.name)
    elif path.exists() and not path.name.startswith("gauge_live"):
        _reserve(path)
        return
    fresh = path.with_suffix(".new")  # also for a gauge: what waited in the process before has gone with it
    fresh.unlink(missing_ok=True)
    _reserve(fresh)
    fresh.replace(path)


def _reserve(path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, max(_SIZE, os.fstat(fd).st_size))
    finally:
        os.close(fd)


def _merge(files: Iterable[Path]) -> Iterable[Metric]:
    merged: Iterable[Metric] = MultiProcessCollector.merge(  # type: ignore[no-untyped-call]  # library without types
        [str(path) for path in files]
    )
    return merged


def _alive(path: Path) -> bool:
    """Whether the file counts: a gauge only while its process lives, which is while the slot's lock is held."""
    if not path.name.startswith("gauge_live"):
        return True
    slot = path.stem.rpartition("_")[2]
    with suppress(FileNotFoundError):
        fd = os.open(path.with_name(f"{slot}.lock"), os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
    return False


def _entries(data: bytes) -> Iterator[tuple[bytes, float]]:
    """Keys and values, as prometheus_client.mmap_dict lays them out; raises struct.error or ValueError."""
    used = struct.unpack_from("i", data)[0] if data else 0
    if not 0 <= used <= len(data):
        raise ValueError("more used than there is")
    position = 8
    while position < used:
        length = struct.unpack_from("i", data, position)[0]
        padded = length + 8 - (length + 4) % 8
        if length < 1 or position + 4 + padded + 16 > used:
            raise ValueError("an entry that does not end")
        yield data[position + 4 : position + 4 + length], struct.unpack_from("d", data, position + 4 + padded)[0]
        position += 4 + padded + 16


def _is_entry(key: bytes, value: float) -> bool:
    parsed: Any = json.loads(key)
    _metric, _name, labels, _help = parsed
    return isinstance(labels, dict) and math.isfinite(value)
