"""Progress bars: on a terminal, and nowhere else."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from sumun.cli.list_progress import bars


def drawn(*, terminal: bool) -> str:
    file = StringIO()
    console = Console(file=file, force_terminal=terminal, width=100, color_system=None, _environ={})
    with bars(console) as start:
        tell = start("partners")
        tell(500_000, 1_000_000)
        tell(1_000_000, 1_000_000)
    return file.getvalue()


def test_a_bar_says_which_list_and_how_much_of_it() -> None:
    shown = drawn(terminal=True)
    assert "partners" in shown
    assert "1.0/1.0 MB" in shown


def test_a_file_or_a_pipe_gets_none() -> None:
    assert drawn(terminal=False).strip() == ""


def test_a_length_that_nobody_tells_is_no_fault() -> None:
    with bars(Console(file=StringIO(), force_terminal=True, _environ={})) as start:
        start("partners")(10, None)
