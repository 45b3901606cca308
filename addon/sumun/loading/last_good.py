"""The last policy that could be loaded, kept for a start with a broken configuration."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sumun.config.parse import outline
from sumun.loading.private_file import read_private, write_private
from sumun.loading.sources import LargeFile, Sources

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
    begin = _begin(sources)
    if (read_private(state / FILE_NAME, _MAX_OCTETS, len(begin)) or b"") == begin:
        return
    write_private(state / FILE_NAME, b"".join([begin, *_rest(sources)]))


def _begin(sources: Sources) -> bytes:
    return f'{{"format": {_FORMAT}, "revision": {_text(sources.revision)}, '.encode()


def _rest(sources: Sources) -> Iterator[bytes]:
    """Text by text: the encoder lets nobody else in, and a megabyte at once would keep queries waiting."""
    yield f'"config_file": {_text(_identity(sources.config_file))}, "config": {_text(sources.config)}'.encode()
    for key, texts in (("services", sources.services), ("lists", sources.lists), ("logos", sources.logos)):
        yield f', "{key}": {{'.encode()
        for number, (id_, text) in enumerate(texts.items()):
            yield f"{', ' if number else ''}{_text(id_)}: {_text(text)}".encode()
        yield b"}"
    large = {id_: [str(file.path), file.sha256] for id_, file in sources.large.items()}
    yield f', "large": {json.dumps(large, ensure_ascii=False)}}}'.encode()


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def restore(config_file: Path, state: Path) -> Sources | None:
    """What was last saved for this configuration file; None where nothing is, or it cannot be trusted."""
    kept = _kept(state)
    texts = kept.get("services"), kept.get("lists"), kept.get("logos", {})
    if kept.get("config_file") != _identity(config_file) or not isinstance(kept.get("config"), str):
        return None
    if not all(map(_is_texts, texts)):
        return None
    large = _large_files(kept.get("large", {}))
    if large is None:
        return None
    sources = Sources(config_file, kept["config"], kept["services"], kept["lists"], large, kept.get("logos", {}))
    return sources if sources.revision == kept.get("revision") else None


def _large_files(kept: Any) -> dict[str, LargeFile] | None:
    """Large lists by what they were; their compiled index is kept, or their files are still the same."""
    try:
        return {str(id_): LargeFile(Path(path), str(digest)) for id_, (path, digest) in kept.items()}
    except (AttributeError, TypeError, ValueError):
        return None


def _identity(config_file: Path) -> str:
    return str(config_file.resolve())


def _kept(state: Path) -> dict[str, Any]:
    """The saved object; empty where there is none, or where somebody else could have written it."""
    octets = read_private(state / FILE_NAME, _MAX_OCTETS)
    try:
        kept = json.loads(octets or b"")
    except (ValueError, RecursionError):
        return {}
    return kept if isinstance(kept, dict) and kept.get("format") == _FORMAT else {}


def _is_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())
