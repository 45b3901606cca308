"""Files that this user alone reads, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_private(path: Path, octets: bytes) -> None:
    """Put a file in place with mode 0600; another process sees the old one or the new one, whole; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with mode 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def read_private(path: Path, limit: int, first: int = -1) -> bytes | None:
    """What is in a file of ``limit`` octets at most; None where it is not, or somebody else could have written it.

    ``first``: so many octets of it are enough.
    """
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022 or status.st_size > limit:
                return None
            return file.read(first)
    except OSError:
        return None
