"""The last policy that could be loaded, kept for a start with a broken configuration."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sumun.config.parse import outline
from sumun.loading.sources import Sources

FILE_NAME = "last-good.json"
_FORMAT = 1
_MAX_OCTETS = 400_000_000
_STATE_LINE = re.compile(r"^state:[ \t]*[\"']?([^\"'#\n]+?)[\"']?[ \t]*(?:#.*)?$", re.MULTILINE)


def state_folder(config: str) -> Path:
    """The state folder, even where the rest of a configuration cannot be read."""
    found = _STATE_LINE.search(config)
    stated = outline(config, file="").state
    return Path(found[1]) if found and stated == Path("var") else stated


def save(sources: Sources, state: Path) -> None:
    """Keep these texts, readable by this user only; another process sees the old file or the new one, whole."""
    if _kept(state).get("revision") == sources.revision:
        return
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = {
        "format": _FORMAT,
        "revision": sources.revision,
        "config_file": _identity(sources.config_file),
        "config": sources.config,
        "services": dict(sources.services),
        "lists": dict(sources.lists),
    }
    handle, name = tempfile.mkstemp(dir=state, prefix=f".{FILE_NAME}.")  # made with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(kept, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(state / FILE_NAME)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def restore(config_file: Path, state: Path) -> Sources | None:
    """What was last saved for this configuration file; None where nothing is, or it cannot be trusted."""
    kept = _kept(state)
    texts = kept.get("services"), kept.get("lists")
    if kept.get("config_file") != _identity(config_file) or not isinstance(kept.get("config"), str):
        return None
    if not all(map(_is_texts, texts)):
        return None
    sources = Sources(config_file, kept["config"], kept["services"], kept["lists"])
    return sources if sources.revision == kept.get("revision") else None


def _identity(config_file: Path) -> str:
    return str(config_file.resolve())


def _kept(state: Path) -> dict[str, Any]:
    """The saved object; empty where there is none, or where somebody else could have written it."""
    try:
        with os.fdopen(os.open(state / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022 or status.st_size > _MAX_OCTETS:
                return {}
            kept = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) and kept.get("format") == _FORMAT else {}


def _is_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())
