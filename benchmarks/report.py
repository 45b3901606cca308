"""Puts what a benchmark measured into docs/reference/benchmarks.md, each in a section of its own."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path

REPORT = Path(__file__).resolve().parents[1] / "docs/reference/benchmarks.md"
_LOAD = os.getloadavg()[0]


def setting() -> str:
    """When and on what machine, and what else that had to do before this program began."""
    today = datetime.now(UTC)  # noqa: TID251 - for programs that are run by hand
    return (
        f"{today:%Y-%m-%d}, {platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}. Load average of the machine before the run: {_LOAD:.1f}."
    )


def put(script: str, heading: str, text: str) -> None:
    """Replace the section between the marks of this script, or add it."""
    begin, end = f"<!-- benchmarks/{script} -->", f"<!-- end of benchmarks/{script} -->"
    before, mark, rest = REPORT.read_text("utf-8").partition(begin)
    after = rest.partition(end)[2] if mark else "\n"
    REPORT.write_text(f"{before.rstrip()}\n\n{begin}\n## {heading}\n\n{text.strip()}\n{end}{after}", "utf-8")
