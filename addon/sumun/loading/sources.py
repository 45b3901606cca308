"""Everything a policy is made of, as texts: the configuration, the catalogue and the lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sumun.catalogue.built_in import NEVER_BLOCK, RESERVED
from sumun.config.parse import Outline, outline
from sumun.config.settings import ListSource
from sumun.model.fault import OperatorFault

_MAX_CONFIG = 4_000_000
_MAX_SERVICE = 200_000
_MAX_SERVICES = 10_000
_MAX_LIST = 64_000_000
"""Octets, and files: far above anything sensible, far below what would exhaust a host."""


class LoadError(OperatorFault):
    """A file that cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Texts only; two hosts that read the same files have equal revisions."""

    config_file: Path
    config: str
    services: Mapping[str, str]
    """Text of each file of the catalogue, by its path from the catalogue's folder."""
    lists: Mapping[str, str] = field(default_factory=dict)
    """Text of each list at hand, by the list's id."""

    @property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with any text, and with nothing else."""
        texts = json.dumps([self.config, self.services, self.lists], sort_keys=True)
        return hashlib.sha256(texts.encode()).hexdigest()[:12]


def read_sources(config: Path) -> Sources:
    """Read all files that a configuration stands for; raises LoadError.

    A list whose file is not there is left out: whether that is a fault is for the configuration to say.
    """
    text = _text(config, _MAX_CONFIG, "write one, or name it with `--config`")
    lists = {source.id: path for source, path in list_files(outline(text, file=str(config)))}
    return Sources(
        config_file=config,
        config=text,
        services=read_services(),
        lists={id_: _text(path, _MAX_LIST, "") for id_, path in lists.items() if path.is_file()},
    )


def read_services() -> dict[str, str]:
    """Text of every service of the catalogue by file; raises LoadError."""
    return _services(catalogue_folder())


def read_never_block() -> str:
    """Text of the names that no list may take down; raises LoadError."""
    return _text(catalogue_folder() / "lists" / f"{NEVER_BLOCK}.txt", _MAX_LIST, "install Sumun again")


def catalogue_folder() -> Path:
    """The catalogue beside the code in a checkout, else the one packaged with it."""
    package = Path(__file__).parents[1]
    checkout = package.parents[1] / "blocklists"
    return checkout if (package.parents[1] / "addon" / "sumun").is_dir() else package / "_data" / "blocklists"


def list_files(files: Outline) -> Iterator[tuple[ListSource, Path]]:
    """Where the text of each list is kept: its own path, or for a subscription a copy in the state folder.

    The lists that come with Sumun are first, so that a faulty configuration cannot put another in their place.
    """
    for id_ in sorted(RESERVED):
        path = catalogue_folder() / "lists" / f"{id_}.txt"
        yield ListSource(id_, "domains", path), path
    for source in files.lists:
        if source.id not in RESERVED:
            yield source, source.path or copy_of(source.id, files.state)


def read_list_text(source: ListSource, state: Path) -> str | None:
    """Text of one list; None where it is not at hand; raises LoadError."""
    own = catalogue_folder() / "lists" / f"{source.id}.txt" if source.id in RESERVED else source.path
    path = own or copy_of(source.id, state)
    return _text(path, _MAX_LIST, "") if path.is_file() else None


def copy_of(id_: str, state: Path) -> Path:
    """Where the copy of a subscribed list is kept."""
    return state / "lists" / f"{id_}.txt"


def _services(folder: Path) -> dict[str, str]:
    paths = sorted((folder / "services").glob("*.yaml"))
    if not paths:
        raise LoadError(f"no services in `{folder / 'services'}`: the catalogue is missing, install Sumun again")
    if len(paths) > _MAX_SERVICES:
        raise LoadError(f"`{folder / 'services'}` holds more than {_MAX_SERVICES:,} files")
    return {f"services/{path.name}": _text(path, _MAX_SERVICE, "") for path in paths}


def _text(path: Path, limit: int, remedy: str) -> str:
    try:
        with path.open("rb") as file:
            octets = file.read(limit + 1)
    except OSError as why:
        hint = f": {remedy}" if remedy and isinstance(why, FileNotFoundError) else ""
        raise LoadError(f"reading `{path}`: {(why.strerror or str(why)).lower()}{hint}") from None
    if len(octets) > limit:
        raise LoadError(f"reading `{path}`: more than {limit:,} octets")
    try:
        return octets.decode()
    except UnicodeDecodeError as why:
        line = octets.count(b"\n", 0, why.start) + 1
        raise LoadError(f"reading `{path}`: line {line} is not UTF-8: save the file as UTF-8") from None
