"""Services of the catalogue as JSON, and as tables for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from sumun.cli.output import out
from sumun.model.service import Service, ServiceDomain


def as_mapping(service: Service) -> dict[str, Any]:
    """All that is known of a service; null and empty stand for not established."""
    return {
        "id": service.id,
        "title": dict(service.title.versions),
        "aliases": list(service.aliases),
        "vendor": service.vendor,
        "vendor_country": service.vendor_country,
        "vendor_source": service.vendor_source,
        "parent": service.parent,
        "parent_country": service.parent_country,
        "data_countries": sorted(service.data_countries),
        "data_basis": service.data_basis,
        "data_source": service.data_source,
        "category": service.category,
        "status": service.status,
        "ended": service.ended and service.ended.isoformat(),
        "reviewed": service.reviewed and service.reviewed.isoformat(),
        "on_premises": service.on_premises,
        "serves_models": list(service.serves_models),
        "models_evidence": service.models_evidence,
        "apps": [asdict(app) for app in service.apps],
        "note": service.note,
        "domains": [domain_mapping(domain) for domain in service.domains],
    }


def domain_mapping(domain: ServiceDomain) -> dict[str, Any]:
    """One domain of a service."""
    pattern = domain.pattern
    return {
        "name": pattern.text, "match": pattern.match, "role": domain.role, "shared": domain.shared,
        "paths": list(domain.paths), "within": domain.within, "sources": list(domain.sources), "note": domain.note,
    }  # fmt: skip


def print_list(services: Sequence[Service]) -> None:
    """A line a service, and how many there are."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("id", "title", "category", "vendor", "country", "domains"):
        table.add_column(heading, justify="right" if heading == "domains" else "left")
    for s in services:
        country = "/".join(sorted(s.vendor_countries))
        cells = (s.id, _title(s), s.category, s.vendor, country, str(len(s.domains)))
        table.add_row(*map(escape, cells))
    if services:
        out.print(table)
    out.print(f"[dim]{len(services)} service{'s' * (len(services) != 1)}[/]")


def print_service(service: Service) -> None:
    """Everything about one, its domains last."""
    out.print(f"[bold]{escape(_title(service))}[/] ({escape(service.id)})")
    facts = Table.grid(padding=(0, 2))
    for label, value in _facts(service):
        if value:
            facts.add_row(f"[dim]{label}[/]", escape(value))
    out.print(facts)
    out.print()
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("domain", "match", "role", "decided by", "sources"):
        table.add_column(heading)
    for d in service.domains:
        table.add_row(
            *map(escape, (d.pattern.text, d.pattern.match.value, d.role, decided_by(d), ", ".join(d.sources)))
        )
    out.print(table)


def decided_by(domain: ServiceDomain) -> str:
    """What makes a request to this domain one for its service."""
    if not domain.shared:
        return "the name"
    return f"path {' or '.join(domain.paths)}" if domain.paths else "nothing: shared with other uses"


def _title(service: Service) -> str:
    """In English, with the Korean one where it is another."""
    english, korean = service.title.within("en"), dict(service.title.versions).get("ko", "")
    return f"{english} · {korean}" if korean and korean != english else english


def _facts(service: Service) -> list[tuple[str, str]]:
    parent = f", of {service.parent} ({service.parent_country})" if service.parent else ""
    kept = ", ".join(sorted(service.data_countries))
    return [
        ("category", service.category),
        ("vendor", f"{service.vendor} ({service.vendor_country}){parent}{_from(service.vendor_source)}"),
        ("data kept in", f"{kept}: {service.data_basis}{_from(service.data_source)}" if kept else "not established"),
        ("on premises", {None: "not established", True: "offered", False: "not offered"}[service.on_premises]),
        ("serves models", f"{', '.join(service.serves_models)}{_from(service.models_evidence)}"),
        ("apps", ", ".join(f"{app.id} ({app.platform})" for app in service.apps)),
        ("status", f"ended on {service.ended}" if service.ended else ""),
        ("aliases", ", ".join(service.aliases)),
        ("reviewed", str(service.reviewed or "")),
        ("note", service.note),
    ]


def _from(source: str) -> str:
    return f" [{source}]" if source else ""
