"""Everything a policy is made of, as texts: the configuration, the catalogue and the lists."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sumun.catalogue.built_in import BUILT_IN, NEVER_BLOCK, RESERVED
from sumun.config.parse import Outline, outline
from sumun.config.settings import ListSource
from sumun.model.fault import OperatorFault
from sumun.model.logo import MAX_LOGO

_MAX_CONFIG = 4_000_000
_MAX_SERVICE = 200_000
_MAX_SERVICES = 10_000
MAX_LIST = 64_000_000
"""Octets, and files: far above anything sensible, far below what would exhaust a host."""
LARGE = 1_000_000
"""Octets from which on a list is compiled into a file of its own kind: some 50,000 names."""


class LoadError(OperatorFault):
    """A file that cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A list that is too long to be held and read again with every reload."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class Sources:
    """Texts only; two hosts that read the same files have equal revisions."""

    config_file: Path
    config: str
    services: Mapping[str, str]
    """Text of each file of the catalogue, by its path from the catalogue's folder."""
    lists: Mapping[str, str] = field(default_factory=dict)
    """Text of each list at hand, by the list's id; large ones are not among them."""
    large: Mapping[str, LargeFile] = field(default_factory=dict)
    """Lists that are compiled where they lie, by the list's id."""
    logos: Mapping[str, str] = field(default_factory=dict)
    """Each logo that could be read, in base64, by its path."""

    @property
    def revision(self) -> str:
        """Twelve hexadecimal digits that change with any text, and with nothing else."""
        digests = {id_: file.sha256 for id_, file in self.large.items()}
        texts = json.dumps([self.config, self.services, self.lists, digests, self.logos], sort_keys=True)
        return hashlib.sha256(texts.encode()).hexdigest()[:12]


def read_sources(config: Path) -> Sources:
    """Read all files that a configuration stands for; raises LoadError.

    A list whose file is not there is left out: whether that is a fault is for the configuration to say.
    """
    text = _text(config, _MAX_CONFIG, "write one, or name it with `--config`")
    files = outline(text, file=str(config))
    lists = {source.id: path for source, path in list_files(files) if path.is_file()}
    large = {id_ for id_, path in lists.items() if path.stat().st_size >= LARGE}
    return Sources(
        config_file=config,
        config=text,
        services=read_services(),
        lists={id_: _text(path, MAX_LIST, "") for id_, path in lists.items() if id_ not in large},
        large={id_: LargeFile(lists[id_], _digest(lists[id_])) for id_ in sorted(large)},
        logos={str(path): logo for path in files.logos if (logo := _logo(path)) is not None},
    )


def _logo(path: Path) -> str | None:
    """A little more than a logo may have, so that one that is too large is told to be; None: cannot be read."""
    try:
        with path.open("rb") as file:
            return b64encode(file.read(MAX_LOGO + 1)).decode()
    except OSError:
        return None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_LIST:
                raise LoadError(f"reading `{path}`: more than {MAX_LIST:,} octets")
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as why:
        raise LoadError(f"reading `{path}`: {(why.strerror or str(why)).lower()}") from None


def read_services() -> dict[str, str]:
    """Text of every service of the catalogue by file; raises LoadError."""
    return _services(catalogue_folder())


def read_never_block() -> str:
    """Text of the names that no list may take down; raises LoadError."""
    return _text(catalogue_folder() / "lists" / f"{NEVER_BLOCK}.txt", MAX_LIST, "install Sumun again")


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


def list_names(config: Path) -> tuple[str, ...]:
    """Ids of the lists that rules can use, as far as the configuration can be read; never raises."""
    try:
        text = config.read_text("utf-8", errors="replace")
    except OSError:
        text = ""
    return (*BUILT_IN, *(source.id for source in outline(text, file="").lists))


def read_list_text(source: ListSource, state: Path) -> str | None:
    """Text of one list; None where it is not at hand; raises LoadError."""
    own = catalogue_folder() / "lists" / f"{source.id}.txt" if source.id in RESERVED else source.path
    path = own or copy_of(source.id, state)
    return _text(path, MAX_LIST, "") if path.is_file() else None


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
