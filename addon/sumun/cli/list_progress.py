"""Progress bars of downloads, on a terminal; nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from sumun.cli.output import err
from sumun.loading.fetch import Progress as Told


@contextmanager
def bars(console: Console = err) -> Iterator[Callable[[str], Told]]:
    """Give what starts a bar by its label, and returns what to tell the octets received to."""
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def start(label: str) -> Told:
            task = progress.add_task(label, total=None)
            return lambda received, total: progress.update(task, completed=received, total=total)

        yield start
