"""What commands print: colour on a terminal, plain text elsewhere, JSON where it was asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.markup import escape

from sumun.config.fault import Fault

DOES_NOT_HOLD = 1
"""Exit status: the thing checked does not hold."""
COULD_NOT = 2
"""Exit status: the command could not be done."""

_WIDE = 240
"""Columns of a table that goes to a file or a pipe, where nothing should be folded."""

out = Console(highlight=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE)
err = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON object, in UTF-8 and sorted as given."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_faults(faults: Iterable[Fault], *, colour: str = "red") -> None:
    """Print each fault on a line of its own, its place first."""
    for fault in faults:
        place = f"{fault.file}:{fault.line}:" if fault.line else f"{fault.file}:"
        path = f"{fault.path}: " if fault.path else ""
        err.print(f"[bold]{escape(place)}[/] [dim]{escape(path)}[/][{colour}]{escape(fault.message)}[/]")


def fail(message: str, *, status: int = COULD_NOT) -> NoReturn:
    """Say what could not be done and why, and leave."""
    err.print(f"[bold red]sumun:[/] {escape(message)}")
    sys.exit(status)
