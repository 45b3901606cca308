"""The compiled index of large lists: found, or made once for all processes of a host, and mapped."""

from __future__ import annotations

import fcntl
import json
import logging
import mmap
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from sumun.loading.compiler import STARVED, Job, compiled
from sumun.loading.sources import LoadError
from sumun.policy.packed_index import DamagedIndex, PackedIndex

_LOG = logging.getLogger(__name__)
_PATIENCE = 300
"""Seconds for a compilation; a million names take ten."""
_KEPT = 2
"""Files left beside the one in use: the last good policy may need one."""

type Compile = Callable[[Job], PackedIndex]
"""Raises LoadError."""


class NotCompiled(Exception):
    """The index is not there, and nobody was to wait for it."""


def at_hand(state: Path) -> Compile:
    """Use the file that is there; raises NotCompiled where none is."""

    def find(job: Job) -> PackedIndex:
        if index := _opened(_path(state, job)):
            return index
        raise NotCompiled

    return find


def in_memory(job: Job) -> PackedIndex:
    """Compile here and now, keep nothing."""
    try:
        return PackedIndex(b"".join(compiled(job)), check=False)
    except (OSError, ValueError) as why:
        raise LoadError(f"compiling lists: {why}") from why


def shared(state: Path, *, gently: bool = False) -> Compile:
    """Use the file that another process has made, or make it for them; in memory where none can be written.

    ``gently``: in the machine's idle time, if it has any, since somebody serves meanwhile.
    """

    def compile_(job: Job) -> PackedIndex:
        path = _path(state, job)
        try:
            return _opened(path) or _made(path, job, gently)
        except OSError as why:
            _LOG.warning("keeping the compiled lists in `%s`: %s", path.parent, why.strerror or why)
            return in_memory(job)

    return compile_


def kept(state: Path) -> Compile:
    """Use the file that is there; where none is, compile in memory and leave no trace."""
    return lambda job: _opened(_path(state, job)) or in_memory(job)


def _path(state: Path, job: Job) -> Path:
    return state / "lists" / f"compiled-{job.key}.index"


def _opened(path: Path) -> PackedIndex | None:
    """Map a file that nobody else could have written; None where there is none, or it is damaged."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
                return None
            index = PackedIndex(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        with suppress(OSError):
            path.touch()  # the latest used are kept
    except (OSError, ValueError) as why:
        if isinstance(why, DamagedIndex):
            _LOG.warning("`%s` is made again: %s", path, why)
        return None
    return index


def _made(path: Path, job: Job, gently: bool) -> PackedIndex:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(path.with_name(".compiling")):
        if index := _opened(path):
            return index  # by whoever had the lock before
        _write(path, job, gently)
        _tidy(path)
    index = _opened(path)
    if index is None:
        raise LoadError(f"compiling lists: `{path}` cannot be read back")
    _LOG.info("large lists are compiled: %d names in `%s`", len(index), path)
    return index


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time; released when the process ends, however it does."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, job: Job, gently: bool) -> None:
    """Compile in a process of its own; the file appears whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            done = _compile(job, file, *(["--idle"] if gently else []))
            if done.returncode == STARVED:
                file.truncate(0)
                done = _compile(job, file)
            os.fsync(file.fileno())
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip().splitlines()
            raise LoadError(told[-1] if told else f"compiling lists: ended with status {done.returncode}")
        Path(name).replace(path)
    except subprocess.TimeoutExpired:
        raise LoadError(f"compiling lists: not finished within {_PATIENCE} s") from None
    finally:
        with suppress(OSError):
            Path(name).unlink()


def _compile(job: Job, file: IO[bytes], *options: str) -> subprocess.CompletedProcess[bytes]:
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "sumun.loading.compiler", *options], input=json.dumps(asdict(job)).encode(),
        stdout=file, stderr=subprocess.PIPE, timeout=_PATIENCE, check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip


def _tidy(used: Path) -> None:
    """Remove what no policy needs any more; a process that maps a removed file keeps it."""
    files = sorted(used.parent.glob("compiled-*.index"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in [path for path in files if path != used][_KEPT:]:
        path.unlink(missing_ok=True)
