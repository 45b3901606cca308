"""``sumun services``: the catalogue."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from sumun import bootstrap
from sumun.catalogue.built_in import parse_names
from sumun.catalogue.consistency import conflicts
from sumun.cli.options import json_option
from sumun.cli.output import COULD_NOT, DOES_NOT_HOLD, err, fail, out, print_faults, print_json
from sumun.config.fault import ConfigError, did_you_mean
from sumun.loading.sources import read_never_block
from sumun.model.fault import OperatorFault
from sumun.model.name import DomainName, InvalidName
from sumun.model.service import Service, ServiceDomain
from sumun.policy.domain_index import DomainIndex


@click.group(invoke_without_command=True)
@click.pass_context
def services(ctx: click.Context) -> None:
    """Browse the catalogue of generative-AI services."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_)


def _catalogue() -> tuple[Service, ...]:
    try:
        return bootstrap.catalogue()
    except ConfigError as error:
        print_faults(error.faults)
        raise SystemExit(COULD_NOT) from None
    except OperatorFault as error:
        fail(str(error))


@services.command(name="list")
@click.option("--category", help="Only this category.")
@click.option("--country", help="Only vendors, or parent companies, of this country (ISO 3166, for example CN).")
@json_option
def list_(category: str | None = None, country: str | None = None, *, as_json: bool = False) -> None:
    """List services, one a line."""
    found = [
        s
        for s in _catalogue()
        if (category is None or s.category == category) and (country is None or country.upper() in s.vendor_countries)
    ]
    if as_json:
        print_json([_mapping(service) for service in found])
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("id", "title", "category", "vendor", "country", "domains"):
        table.add_column(heading, justify="right" if heading == "domains" else "left")
    for s in found:
        cells = (
            s.id,
            s.title.within("en"),
            s.category,
            s.vendor,
            "/".join(sorted(s.vendor_countries)),
            str(len(s.domains)),
        )
        table.add_row(*map(escape, cells))
    out.print(table)
    out.print(f"[dim]{len(found)} services[/]")


@services.command()
@click.argument("id_", metavar="ID")
@json_option
def show(id_: str, *, as_json: bool) -> None:
    """Show one service with its domains and their sources."""
    by_id = {service.id: service for service in _catalogue()}
    if id_ not in by_id:
        fail(f"unknown service `{id_}`{did_you_mean(id_, by_id)}", status=DOES_NOT_HOLD)
    if as_json:
        print_json(_mapping(by_id[id_]))
        return
    _print_service(by_id[id_])


@services.command()
@click.argument("host")
@json_option
def find(host: str, *, as_json: bool) -> None:
    """Say which service a host belongs to, and by which entry."""
    try:
        name = DomainName.parse(host)
    except InvalidName as error:
        fail(f"`{host}`: {error}")
    index = DomainIndex((d.pattern, (s, d)) for s in _catalogue() for d in s.domains)
    found = [pair for group in index.lookup(name) for pair in group]
    if as_json:
        print_json({"host": name.text, "services": [{"id": s.id, "domain": _domain(d)} for s, d in found]})
    for service, domain in found if not as_json else []:
        note = " [yellow](shared: the name alone does not decide)[/]" if domain.shared else ""
        out.print(
            f"[bold]{escape(service.id)}[/]  {escape(service.title.within('en'))}: {domain.pattern.match} "
            f"`{escape(domain.pattern.text)}`, {escape(domain.role)}{note} [dim]{escape(', '.join(domain.sources))}[/]"
        )
    if not found:
        if not as_json:
            out.print(f"{escape(name.text)}: in no service of the catalogue")
        raise SystemExit(DOES_NOT_HOLD)


@services.command()
@json_option
def lint(*, as_json: bool) -> None:
    """Check every file of the catalogue, and the files against each other, before sending a change in.

    Exit status 0: nothing is wrong; 1: something is.
    """
    try:
        known = bootstrap.catalogue()
        found = list(conflicts(known, parse_names(read_never_block())))
    except ConfigError as error:
        if as_json:
            print_json({"ok": False, "faults": [asdict(fault) for fault in error.faults], "conflicts": []})
        else:
            print_faults(error.faults)
        raise SystemExit(DOES_NOT_HOLD) from None
    except OperatorFault as error:
        fail(str(error))
    if as_json:
        print_json({"ok": not found, "faults": [], "conflicts": [asdict(conflict) for conflict in found]})
    for conflict in found if not as_json else ():
        err.print(f"[bold]{escape(conflict.service)}[/]: [red]{escape(conflict.why)}[/]")
    if found:
        raise SystemExit(DOES_NOT_HOLD)
    if not as_json:
        out.print(f"[green]{len(known)} services, nothing is wrong[/]")


def _domain(domain: ServiceDomain) -> dict[str, Any]:
    pattern = domain.pattern
    return {
        "name": pattern.text, "match": pattern.match, "role": domain.role, "shared": domain.shared,
        "paths": list(domain.paths), "sources": list(domain.sources),
    }  # fmt: skip


def _mapping(service: Service) -> dict[str, Any]:
    return {
        "id": service.id,
        "title": dict(service.title.versions),
        "aliases": list(service.aliases),
        "vendor": service.vendor,
        "vendor_country": service.vendor_country,
        "parent": service.parent,
        "parent_country": service.parent_country,
        "data_countries": sorted(service.data_countries),
        "category": service.category,
        "status": service.status,
        "ended": service.ended and service.ended.isoformat(),
        "on_premises": service.on_premises,
        "serves_models": list(service.serves_models),
        "apps": [asdict(app) for app in service.apps],
        "domains": [_domain(domain) for domain in service.domains],
    }


def _print_service(service: Service) -> None:
    out.print(f"[bold]{escape(service.title.within('en'))}[/] ({escape(service.id)})")
    facts = Table.grid(padding=(0, 2))
    for label, value in (
        ("vendor", f"{service.vendor} ({service.vendor_country})"),
        ("parent", f"{service.parent} ({service.parent_country})" if service.parent else ""),
        ("category", service.category),
        ("data kept in", ", ".join(sorted(service.data_countries)) or "not established"),
        ("on premises", {None: "not established", True: "offered", False: "not offered"}[service.on_premises]),
        ("serves", ", ".join(service.serves_models)),
        ("apps", ", ".join(f"{app.id} ({app.platform})" for app in service.apps)),
        ("status", f"ended on {service.ended}" if service.ended else ""),
        ("aliases", ", ".join(service.aliases)),
    ):
        if value:
            facts.add_row(f"[dim]{label}[/]", escape(value))
    out.print(facts)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("domain", "match", "role", "shared", "sources"):
        table.add_column(heading)
    for d in service.domains:
        cells = (d.pattern.text, d.pattern.match.value, d.role, "shared" if d.shared else "", ", ".join(d.sources))
        table.add_row(*map(escape, cells))
    out.print(table)
