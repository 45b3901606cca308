"""``sumun services``: the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import urlsplit

import click
from rich.markup import escape

from sumun import bootstrap
from sumun.catalogue.built_in import parse_names
from sumun.catalogue.categories import CATEGORIES
from sumun.catalogue.consistency import conflicts
from sumun.cli.options import json_option
from sumun.cli.output import COULD_NOT, DOES_NOT_HOLD, err, fail, out, print_faults, print_json
from sumun.cli.service_view import as_mapping, decided_by, domain_mapping, print_list, print_service
from sumun.config.fault import ConfigError, did_you_mean
from sumun.loading.sources import read_never_block
from sumun.model.fault import OperatorFault
from sumun.model.name import DomainName, InvalidName
from sumun.model.service import Service, ServiceDomain
from sumun.policy.domain_index import DomainIndex

type Found = tuple[Service, ServiceDomain]


@click.group(invoke_without_command=True)
@click.pass_context
def services(ctx: click.Context) -> None:
    """Browse the catalogue of generative-AI services.

    \b
      sumun services list --country CN              who is Chinese, or of a Chinese company
      sumun services search 뤼튼                    by any name, vendor or domain
      sumun services show deepseek                  all that is known, with sources
      sumun services find https://bing.com/chat     whose is this address, and why
    """
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


def _give(found: Sequence[Service], *, as_json: bool) -> None:
    if as_json:
        print_json([as_mapping(service) for service in found])
    else:
        print_list(found)


@services.command(name="list")
@click.option("--category", help="Only this category.")
@click.option("--country", help="Only vendors, or parent companies, of this country (ISO 3166, for example CN).")
@json_option
def list_(category: str | None = None, country: str | None = None, *, as_json: bool = False) -> None:
    """List services, one a line."""
    if category is not None and category not in CATEGORIES:
        fail(f"unknown category `{category}`{did_you_mean(category, CATEGORIES)}: {', '.join(CATEGORIES)}")
    found = [
        s
        for s in _catalogue()
        if (category is None or s.category == category) and (country is None or country.upper() in s.vendor_countries)
    ]
    _give(found, as_json=as_json)


@services.command()
@click.argument("word")
@json_option
def search(word: str, *, as_json: bool) -> None:
    """List services with WORD in an id, title, alias, vendor or domain, in any language.

    Exit status 0: there are some; 1: there are none.
    """
    found = [service for service in _catalogue() if any(word.casefold() in text for text in _texts(service))]
    _give(found, as_json=as_json)
    if not found:
        raise SystemExit(DOES_NOT_HOLD)


def _texts(service: Service) -> list[str]:
    titles = [title for _, title in service.title.versions]
    domains = [domain.pattern.text for domain in service.domains]
    named = [service.id, *titles, *service.aliases, service.vendor, service.parent or "", *domains]
    return [text.casefold() for text in named]


@services.command()
@click.argument("id_", metavar="ID")
@json_option
def show(id_: str, *, as_json: bool) -> None:
    """Show all that is known of one service, with its domains and their sources; a title or alias will do for ID."""
    known = _catalogue()
    by_id = {service.id: service for service in known}
    by_name = {text.casefold(): s for s in known for text in (*s.aliases, *(title for _, title in s.title.versions))}
    service = by_id.get(id_) or by_name.get(id_.casefold())
    if service is None:
        fail(f"unknown service `{id_}`{did_you_mean(id_, by_id)}; `sumun services search` looks further",
             status=DOES_NOT_HOLD)  # fmt: skip
    if as_json:
        print_json(as_mapping(service))
    else:
        print_service(service)


@services.command()
@click.argument("host")
@json_option
def find(host: str, *, as_json: bool) -> None:
    """Say which service a host or a whole URL belongs to, and by which entry.

    Exit status 0: to one, or to one by its path; 1: to none.
    """
    url = urlsplit(host if "://" in host else f"//{host}")
    path = (url.path or "/") if "://" in host else None
    try:
        name = DomainName.parse(url.hostname or "")
    except (InvalidName, ValueError) as error:
        fail(f"`{host}`: {error}")
    index = DomainIndex((d.pattern, (s, d)) for s in _catalogue() for d in s.domains)
    found = [pair for group in index.lookup(name) for pair in group]
    owner = next((service for service, domain in found if _decides(domain, path)), None)
    if as_json:
        entries = [{"id": s.id, "decides": _decides(d, path), "domain": domain_mapping(d)} for s, d in found]
        print_json({"host": name.text, "path": path, "service": owner and owner.id, "services": entries})
    else:
        _print_found(name.text if path is None else f"{name.text}{path}", found, owner)
    if not found:
        raise SystemExit(DOES_NOT_HOLD)


def _decides(domain: ServiceDomain, path: str | None) -> bool:
    return not domain.shared or (path is not None and bool(domain.paths) and path.startswith(domain.paths))


def _print_found(what: str, found: Sequence[Found], owner: Service | None) -> None:
    if not found:
        out.print(f"{escape(what)}: in no service of the catalogue")
        return
    if owner:
        out.print(f"{escape(what)} belongs to [bold]{escape(owner.title.within('en'))}[/] ({escape(owner.id)})")
    else:
        out.print(f"{escape(what)} is shared: [yellow]the name alone makes it no service's[/]")
    for service, domain in found:
        out.print(
            f"  [bold]{escape(service.id)}[/]: {domain.pattern.match} `{escape(domain.pattern.text)}`, "
            f"{escape(domain.role)}; decided by {escape(decided_by(domain))}"
        )
        out.print(f"    [dim]sources: {escape(', '.join(domain.sources))}[/]")


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
            err.print(f"[bold red]{len(error.faults)} fault{'s' * (len(error.faults) != 1)}[/]")
        raise SystemExit(DOES_NOT_HOLD) from None
    except OperatorFault as error:
        fail(str(error))
    if as_json:
        print_json({"ok": not found, "faults": [], "conflicts": [asdict(conflict) for conflict in found]})
    for conflict in found if not as_json else ():
        err.print(f"[bold]blocklists/services/{escape(conflict.service)}.yaml[/]: [red]{escape(conflict.why)}[/]")
    if found:
        raise SystemExit(DOES_NOT_HOLD)
    if not as_json:
        out.print(f"[green]{len(known)} services, nothing is wrong[/]")
