"""The shipped catalogue, read once for all tests that look at it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sumun.catalogue.service_file import parse_service
from sumun.model.name import DomainName
from sumun.model.service import Service

ROOT = Path(__file__).parents[3]
SERVICES = ROOT / "blocklists" / "services"
LISTS = ROOT / "blocklists" / "lists"
DATA = ROOT / "tests" / "data"


@cache
def files() -> tuple[Path, ...]:
    return tuple(sorted(SERVICES.glob("*.yaml")))


@cache
def services() -> tuple[Service, ...]:
    return tuple(parse_service(path.read_text(encoding="utf-8"), file=path.name) for path in files())


@cache
def by_id() -> dict[str, Service]:
    return {service.id: service for service in services()}


def names(path: Path) -> tuple[DomainName, ...]:
    """One name a line, without comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return tuple(DomainName.parse(line) for line in lines if line and not line.startswith("#"))
