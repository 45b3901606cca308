"""What processes have in common, loaded before they part."""

from __future__ import annotations

import gc
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from sumun.bootstrap.clock import now
from sumun.bootstrap.role import Role
from sumun.config.fault import ConfigError
from sumun.loading.build import build
from sumun.loading.large_lists import shared
from sumun.loading.last_good import state_folder
from sumun.loading.sources import LoadError, read_sources

_MODULES = {
    Role.DNS: ("sumun.bootstrap.sinkhole", "sumun.sinkhole.server"),
    Role.PROXY: ("sumun.bootstrap.proxy", "sumun.proxy.server", "sumun.proxy.forms", "sumun.pages.render"),
    Role.CONSOLE: (
        "sumun.bootstrap.console", "sumun.console.console", "sumun.console.grants",
        "uvicorn.lifespan.off", "uvicorn.protocols.http.h11_impl",
    ),
}  # fmt: skip
_ALL = ("concurrent.futures.thread", "sqlalchemy.dialects.sqlite")
"""What is otherwise imported in passing, when the first thread is wanted or the store is opened."""


def warm(config: Path) -> None:
    """Import what all roles need and read the files once: what they say is forgotten, what was parsed remembered.

    Faults of the files are for whoever serves to report.
    """
    for name in _ALL:
        import_module(name)
    with suppress(ConfigError, LoadError):
        sources = read_sources(config)
        build(sources, at=now(), compile_lists=shared(state_folder(sources.config)))
    _settle()


def warm_role(role: Role) -> None:
    """Import what serves this role besides."""
    for name in _MODULES[role]:
        import_module(name)
    _settle()


def _settle() -> None:
    gc.collect()
    gc.freeze()  # looking through it for garbage would copy it into every process
