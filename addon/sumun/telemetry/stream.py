"""The decision log on a stream: what a container runtime collects from standard output."""

from __future__ import annotations

import os
from collections.abc import Sequence


class Stream:
    """Writes lines to a file descriptor that it does not own."""

    name = "stdout"

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd

    def write(self, lines: Sequence[bytes]) -> None:
        """Write the lines; raises OSError, after which the reader may have seen a part of them."""
        rest = memoryview(b"".join(lines))
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def close(self) -> None:
        """Do nothing: the stream belongs to the process."""
