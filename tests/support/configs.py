"""The default configuration, with a few things changed."""

from __future__ import annotations

import copy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


@cache
def _default() -> Any:
    return yaml.safe_load((ROOT / "config" / "sumun.yaml").read_text("utf-8"))


def variant(**changes: Any) -> dict[str, Any]:
    """A copy of the default configuration with these top-level keys replaced."""
    config: dict[str, Any] = copy.deepcopy(_default())
    return config | changes


def write(path: Path, config: dict[str, Any]) -> Path:
    """Write it the way an administrator's editor might: whole, and in the place of what was there."""
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(config, allow_unicode=True, sort_keys=False), "utf-8")
    return fresh.replace(path)
