"""The decision log as a file: one JSON object a line, shared by every process of the host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class JsonLines:
    """Appends whole lines or none.

    Each write takes the file's advisory lock, because only then a write that the disk cut short can be taken back
    without hurting the line of another process. The file may be renamed or removed at any time (logrotate needs no
    signal): the next write makes a new one.
    """

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None

    def write(self, lines: Sequence[bytes]) -> None:
        """Append the lines, each ending in a line feed; raises OSError, and then none of them is in the file."""
        fd = self._current()
        with _locked(fd):
            size = os.fstat(fd).st_size
            data = _gap(fd, size) + b"".join(lines)
            try:
                _write_all(fd, data)
            except OSError:
                os.ftruncate(fd, size)
                raise

    def close(self) -> None:
        """Let go of the file; a later write opens it again."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _current(self) -> int:
        if self._fd is not None and _is_at(self._fd, self._path):
            return self._fd
        self.close()
        # read access is for looking at the last byte; 0600 because clients and names are in it
        self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._fd


@contextmanager
def _locked(fd: int) -> Iterator[None]:
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _gap(fd: int, size: int) -> bytes:
    """A line feed where a killed process left half a line, so that it spoils no other."""
    return b"\n" if size and os.pread(fd, 1, size - 1) != b"\n" else b""


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:  # a short write is how a filling disk shows; the next one says why
        rest = rest[os.write(fd, rest) :]


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
