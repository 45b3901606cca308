"""``sumun lists``: what is on lists, where from, how old, and is the next version any good?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from rich.markup import escape
from rich.table import Table

from sumun import bootstrap
from sumun.catalogue.built_in import BUILT_IN
from sumun.catalogue.guard import NOBODY, Guard
from sumun.catalogue.lists import AUTO, FORMATS, Refused, parse_list
from sumun.cli.list_progress import bars
from sumun.cli.options import DEFAULT_CONFIG, config_option, json_option
from sumun.cli.output import COULD_NOT, DOES_NOT_HOLD, err, fail, out, print_faults, print_json
from sumun.config.fault import ConfigError, Unreadable, did_you_mean
from sumun.config.settings import ListSource
from sumun.config.values import list_url
from sumun.loading.build import Loaded
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.record import ListStore, Record
from sumun.loading.sources import list_names, read_list_text
from sumun.loading.update import Updater
from sumun.loading.vet import Vetted
from sumun.model.fault import OperatorFault
from sumun.model.listed import Entry, Hold
from sumun.model.service import Match


@click.group(invoke_without_command=True)
@click.pass_context
def lists(ctx: click.Context) -> None:
    """Look after lists: those that come with Sumun, local files and subscriptions."""
    if ctx.invoked_subcommand is None:
        with status.make_context("status", [], parent=ctx) as as_if_asked:  # so that SUMUN_CONFIG counts
            status.invoke(as_if_asked)


def _names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    known = list_names(ctx.params.get("config") or DEFAULT_CONFIG)
    return [CompletionItem(name, help=BUILT_IN.get(name)) for name in known if name.startswith(incomplete)]


def _load(config: Path) -> Loaded:
    try:
        return bootstrap.load(config)
    except ConfigError as error:
        print_faults(error.faults)
        raise SystemExit(COULD_NOT) from None
    except OperatorFault as error:
        fail(str(error))


def _one(loaded: Loaded, name: str) -> ListSource:
    by_id = {source.id: source for source in loaded.sources}
    if name not in by_id:
        fail(f"unknown list `{name}`{did_you_mean(name, by_id)}", status=DOES_NOT_HOLD)
    return by_id[name]


@lists.command()
@config_option
@json_option
def status(config: Path, *, as_json: bool) -> None:
    """Say of every list how many entries it has, how old it is, and why its last update failed."""
    loaded = _load(config)
    store = ListStore(loaded.config.settings.state)
    found = [_state(source, loaded, store.record(source.id)) for source in loaded.sources]
    if as_json:
        print_json({"lists": found})
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("list", "from", "format", "entries", "refused", "as published", "last update"):
        table.add_column(heading, justify="right" if heading in ("entries", "refused") else "left")
    for state in found:
        trouble = f"[red]{escape(state['message'])}[/]" if state["message"] else escape(state["outcome"])
        table.add_row(
            escape(state["id"]), escape(state["from"]), escape(state["format"]), f"{state['entries']:,}",
            f"{state['refused']:,}", _age(state), trouble,
        )  # fmt: skip
    out.print(table)
    if any(state["refused"] for state in found):
        out.print("[dim]`sumun lists show NAME` prints the lines that were refused, and why[/]")


def _state(source: ListSource, loaded: Loaded, record: Record) -> dict[str, Any]:
    found = loaded.lists[source.id]
    confirmed = record.confirmed_at if source.url else None
    return {
        "id": source.id,
        "from": source.url or (str(source.path) if source.path else "Sumun"),
        "format": source.format,
        "present": found.present,
        "entries": found.entries,
        "exceptions": found.exceptions,
        "refused": found.refused,
        "confirmed_at": confirmed and confirmed.isoformat(timespec="seconds"),
        "age_seconds": confirmed and int((bootstrap.now() - confirmed).total_seconds()),
        "outcome": record.outcome if source.url else "",
        "message": record.message if source.url else "",
    }


def _age(state: dict[str, Any]) -> str:
    if not state["present"]:
        return "[red]never fetched: its rules match nothing[/]"
    seconds = state["age_seconds"]
    if seconds is None:
        return ""
    hours = seconds / 3600
    return f"{hours / 24:.0f} days ago" if hours >= 48 else f"{hours:.0f} h ago" if hours >= 1 else "just now"


@lists.command()
@click.argument("name", shell_complete=_names)
@click.option("--entries", is_flag=True, help="Print the names on it, one a line, and nothing else.")
@config_option
@json_option
def show(name: str, config: Path, *, entries: bool, as_json: bool) -> None:
    """Show one list, and every line of it that was refused, with number and reason."""
    loaded = _load(config)
    source = _one(loaded, name)
    state = loaded.config.settings.state
    try:
        text = read_list_text(source, state)
    except OperatorFault as error:
        fail(str(error))
    if text is None:
        fail(f"list `{name}` is not at hand yet: `sumun lists update {name}` fetches it", status=DOES_NOT_HOLD)
    items = list(parse_list(text, source.format, loaded.guards(source)))
    refusals = [item for item in items if isinstance(item, Refused)]
    names = sorted({item.pattern.text for item in items if isinstance(item, Entry) and item.hold.carries})
    if as_json:
        listed = {"names": names} if entries else {}
        told = [{"line": r.line, "text": r.text, "why": r.why} for r in refusals]
        print_json({**_state(source, loaded, ListStore(state).record(name)), "refusals": told, **listed})
    elif entries:
        for entry in names:
            click.echo(entry)
    else:
        exceptions = sum(isinstance(item, Entry) and not item.hold.carries for item in items)
        _tell_refusals(name, _counted(len(names), exceptions, len(refusals)), refusals)


def _counted(entries: int, exceptions: int, refused: int) -> str:
    """How many of each, in words."""

    def some(count: int, one: str, more: str) -> str:
        return f"{count:,} {one if count == 1 else more}"

    found = [some(entries, "entry", "entries"), some(exceptions, "exception", "exceptions") if exceptions else ""]
    return ", ".join(filter(None, (*found, some(refused, "line refused", "lines refused"))))


def _tell_refusals(name: str, counted: str, refusals: Sequence[Refused]) -> None:
    out.print(f"[bold]{escape(name)}[/]: {counted}")
    for refusal in refusals:
        out.print(f"[dim]{refusal.line:>7}[/]  {escape(refusal.text)}  [yellow]{escape(refusal.why)}[/]")


@lists.command()
@click.argument("name", required=False, shell_complete=_names)
@click.option("--accept", is_flag=True, help="Take it though its size changed suddenly.")
@click.option(
    "--from", "origin", type=click.Path(path_type=Path, exists=True),
    help="Take it from a file, or each <list>.txt from a folder, in place of the network.",
)  # fmt: skip
@config_option
@json_option
def update(name: str | None, config: Path, *, accept: bool, origin: Path | None, as_json: bool) -> None:
    """Fetch subscriptions now, and take what is good; a running Sumun notices by itself.

    Exit status 0: all of them are up to date; 1: one is not, and stays as it was.
    """
    loaded = _load(config)
    chosen = [_one(loaded, name)] if name else [source for source in loaded.sources if source.url]
    if not all(source.url for source in chosen):
        fail(f"list `{name}` is no subscription: it has no `url`")
    if origin is not None:
        chosen = [source for source in chosen if origin.is_file() or (origin / f"{source.id}.txt").is_file()]
        if not chosen or (origin.is_file() and len(chosen) > 1):
            fail(f"`{origin}` holds no list to take: name one list, or a folder with `<list>.txt` in it")
    records = _run(loaded, lambda updater: _update_all(updater, chosen, accept=accept), _files(chosen, origin))
    if as_json:
        print_json({"lists": [{"id": id_, "outcome": r.outcome, "message": r.message, "entries": r.entries}
                              for id_, r in records.items()]})  # fmt: skip
    for id_, record in records.items() if not as_json else ():
        good = Outcome(record.outcome).good
        told = f"{record.outcome}, {_counted(record.entries, 0, record.refused)}"
        out.print(f"[bold]{escape(id_)}[/]: " + (f"[green]{told}[/]" if good else f"[red]{escape(record.message)}[/]"))
    if not all(Outcome(record.outcome).good for record in records.values()):
        raise SystemExit(DOES_NOT_HOLD)


def _files(chosen: Iterable[ListSource], origin: Path | None) -> dict[str, Path] | None:
    if origin is None:
        return None
    files: dict[str, Path] = {}
    for source in chosen:
        path = origin if origin.is_file() else origin / f"{source.id}.txt"
        files |= {source.url: path, source.signature_url: path.with_name(f"{path.name}.minisig")}
    return files


async def _update_all(updater: Updater, chosen: Iterable[ListSource], *, accept: bool) -> dict[str, Record]:
    with bars() as start:
        return {source.id: await updater.update(source, accept=accept, progress=start(source.id)) for source in chosen}


def _run[T](loaded: Loaded, do: Callable[[Updater], Any], files: dict[str, Path] | None = None) -> Any:
    try:
        return asyncio.run(bootstrap.with_updater(loaded.config.settings, do, files=files))
    except NotTaken as why:
        fail(str(why), status=DOES_NOT_HOLD)
    except OperatorFault as error:
        fail(str(error))


@lists.command()
@click.argument("what", metavar="FILE-OR-URL")
@click.option("--format", "form", type=click.Choice([AUTO, *sorted(FORMATS)]), default=AUTO, show_default=True)
@config_option
@json_option
def verify(what: str, form: str, config: Path, *, as_json: bool) -> None:
    """Read a list as it would be read if it were subscribed to, and take nothing.

    Exit status 0: it could be taken; 1: it could not, or a line was refused for what others need.
    """
    loaded = _load(config)
    path = Path(what)
    source = ListSource("list", form, url=what)
    if not path.is_file():
        try:
            list_url(what)
        except Unreadable as why:
            fail(f"{why}, and no file is there")
    vetted: Vetted = _run(loaded, lambda u: _published(u, source), {what: path} if path.is_file() else None)
    refusals = [i for i in parse_list(vetted.text, form, loaded.guards(source)) if isinstance(i, Refused)]
    if as_json:
        told = [{"line": r.line, "text": r.text, "why": r.why} for r in refusals]
        print_json({"entries": vetted.entries, "sha256": vetted.sha256, "refusals": told})
        return
    _tell_refusals(what, _counted(vetted.entries, 0, len(refusals)), refusals)
    out.print(f"[dim]sha256: {vetted.sha256}[/]")


async def _published(updater: Updater, source: ListSource) -> Vetted:
    with bars() as start:
        return await updater.published(source, progress=start(source.id))


@lists.command()
@click.argument("name", shell_complete=_names)
@config_option
@json_option
def diff(name: str, config: Path, *, as_json: bool) -> None:
    """Compare what is published with what is at hand, name by name, and take nothing.

    Exit status 0: they are the same; 1: they differ.
    """
    loaded = _load(config)
    source = _one(loaded, name)
    if not source.url:
        fail(f"list `{name}` is no subscription: it has no `url`")
    vetted: Vetted = _run(loaded, lambda updater: _published(updater, replace(source, sha256="")))
    guard = loaded.guards(source)
    before = _patterns(read_list_text(source, loaded.config.settings.state) or "", source.format, guard)
    after = _patterns(vetted.text, source.format, guard)
    added, removed = sorted(after - before), sorted(before - after)
    if as_json:
        print_json({"added": added, "removed": removed})
    else:
        for entry in removed:
            out.print(f"[red]- {escape(entry)}[/]")
        for entry in added:
            out.print(f"[green]+ {escape(entry)}[/]")
        err.print(f"[dim]{len(added):,} entries more, {len(removed):,} fewer[/]")
    if added or removed:
        raise SystemExit(DOES_NOT_HOLD)


def _patterns(text: str, form: str, guard: Guard = NOBODY) -> set[str]:
    return {_worded(item) for item in parse_list(text, form, guard) if isinstance(item, Entry)}


def _worded(entry: Entry) -> str:
    """An entry for a person: the name first, then what is unusual about it."""
    notes = [
        "this name alone" if entry.pattern.match is Match.EXACT else "",
        "" if entry.hold is Hold.LISTED else "important" if entry.hold is Hold.IMPORTANT else "exception",
        f"without {', '.join(entry.unless)}" if entry.unless else "",
    ]
    said = ", ".join(filter(None, notes))
    return f"{entry.pattern.text}  ({said})" if said else entry.pattern.text
