"""axe-core, the accessibility checker, fetched once with npm: it is a tool of the tests, and no part of the project."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tests.support.browser import Browser

_VERSION = "4.14.1"
_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@cache
def source() -> str:
    """The script; empty where npm is missing or cannot reach a registry."""
    npm = shutil.which("npm")
    if npm is None:
        return ""
    folder = Path(mkdtemp(prefix="axe-"))
    try:
        command = [npm, "pack", f"axe-core@{_VERSION}", "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=90, check=False)
        archives = list(folder.glob("*.tgz"))
        if done.returncode or not archives:
            return ""
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile("package/axe.min.js")
            return member.read().decode() if member else ""
    except subprocess.TimeoutExpired:
        return ""
    finally:
        shutil.rmtree(folder)


def violations(browser: Browser) -> list[dict[str, Any]]:
    """What axe finds on the page shown: ids and the elements concerned."""
    browser.evaluate(source() + ";0")
    options = f"{{runOnly: {{type: 'tag', values: {_RULES}}}}}"
    short = "r => r.violations.map(v => ({id: v.id, nodes: v.nodes.map(n => n.html)}))"
    found = browser.evaluate(f"axe.run(document, {options}).then({short})")
    return list(found)
