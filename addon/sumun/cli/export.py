"""``sumun export``: what is blocked, as a file for other software."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import click
from rich.markup import escape

from sumun import bootstrap
from sumun.catalogue.lists import parse_list
from sumun.cli.options import config_option
from sumun.cli.output import DOES_NOT_HOLD, err, fail, print_faults
from sumun.config.fault import ConfigError, did_you_mean
from sumun.export.formats import ALIASES, FORMATS, Format
from sumun.export.names import entries_for
from sumun.export.write import Heading, Written, write, write_list
from sumun.loading.build import Loaded
from sumun.loading.sources import read_list_text
from sumun.model.fault import OperatorFault
from sumun.model.listed import Entry
from sumun.model.name import DomainName
from sumun.model.segment import Segment
from sumun.policy.blocked import BlockedNames
from sumun.policy.domain_index import DomainIndex

_SHOWN = 5
"""Examples of each kind of loss."""
_NOBODY = DomainName("nothing--sumun.nothing--sumun.invalid")
"""No pattern covers it: what happens to it happens to every other name."""


@click.command()
@click.argument("form", metavar="FORMAT", type=click.Choice([*FORMATS, *ALIASES]))
@click.option("--segment", "segment_", metavar="NAME", help="What the sinkhole of this segment blocks now.")
@click.option("--list", "list_", metavar="NAME", help="A list as it is, instead of a segment.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file, put in place whole.")
@click.option("--strict", is_flag=True, help="Write nothing where the format cannot say everything.")
@config_option
def export(
    form: str, segment_: str | None, list_: str | None, output: Path | None, config: Path, *, strict: bool
) -> None:
    """Write what is blocked for other software, in one of the formats that lists are read in.

    \b
      sumun export rpz --segment military-use -o sumun.rpz     BIND, Unbound, Knot Resolver, PowerDNS
      sumun export squid --segment hq-network                  acl ai dstdomain "FILE"
      sumun export dnsmasq --list partners                     a list in another format

    The file says what holds now for every client of the segment: hours, and rules with dates, hold only until they
    change, and what a page or a look inside decides is not in it. What a format cannot say is left out or narrowed,
    never widened, and told on standard error. Exit status 0: written; 1: with --strict, it would not say everything.
    """
    if segment_ and list_:
        fail("`--segment` or `--list`: give one of them")
    loaded = _load(config)
    chosen, at = FORMATS[ALIASES.get(form, form)], bootstrap.now()
    try:
        written = _of_list(loaded, list_, chosen, at) if list_ else _of_segment(loaded, segment_, chosen, at)
    except OperatorFault as error:
        fail(str(error))
    _tell(written, chosen)
    if written.losses and strict:
        fail(f"`{chosen.name}` cannot say everything, so nothing is written", status=DOES_NOT_HOLD)
    _put(written.text, output)


def _load(config: Path) -> Loaded:
    try:
        return bootstrap.load(config)
    except ConfigError as error:
        print_faults(error.faults)
        fail(f"`{config}` is not valid", status=DOES_NOT_HOLD)
    except OperatorFault as error:
        fail(str(error))


def _of_segment(loaded: Loaded, name: str | None, form: Format, at: datetime) -> Written:
    segment = _segment(loaded, name)
    names = BlockedNames.of(loaded.policy, segment, at)
    if names is None:
        fail(f"no client is ever in segment `{segment.name}`: it has no `networks`")
    if personal := names.personal():
        _warn(f"left out: what rules say of some clients or users only ({', '.join(personal)})")
    if names.covers(_NOBODY):
        _warn("left out: names that nothing is known of, which this segment blocks too")
    heading = _heading(f"what segment {segment.name} blocks", loaded, at, segment.dns.ttl)
    return write(entries_for(names.patterns(), names.covers), form, heading)


def _segment(loaded: Loaded, name: str | None) -> Segment:
    by_name = {segment.name: segment for segment in loaded.config.segments}
    if name is None:
        if len(by_name) != 1:
            fail(f"which segment? name one with `--segment`: {', '.join(by_name)}")
        return next(iter(by_name.values()))
    if name not in by_name:
        fail(f"unknown segment `{name}`{did_you_mean(name, by_name)}", status=DOES_NOT_HOLD)
    return by_name[name]


def _of_list(loaded: Loaded, name: str, form: Format, at: datetime) -> Written:
    by_id = {source.id: source for source in loaded.sources}
    if name not in by_id:
        fail(f"unknown list `{name}`{did_you_mean(name, by_id)}", status=DOES_NOT_HOLD)
    text = read_list_text(by_id[name], loaded.config.settings.state)
    if text is None:
        fail(f"list `{name}` is not at hand yet: `sumun lists update {name}` fetches it", status=DOES_NOT_HOLD)
    items = parse_list(text, by_id[name].format, loaded.guards(by_id[name]))
    entries = list(dict.fromkeys(item for item in items if isinstance(item, Entry)))
    index = DomainIndex((entry.pattern, entry.filed_as(name)) for entry in entries)
    return write_list(entries, index.lookup, form, _heading(f"list {name}", loaded, at, 300))


def _heading(what: str, loaded: Loaded, at: datetime, ttl: int) -> Heading:
    comments = f"Sumun: {what}", f"policy revision {loaded.revision}, {at:%Y-%m-%d %H:%M:%S} UTC"
    return Heading(comments, int(at.timestamp()) % 2**32, ttl)


def _tell(written: Written, form: Format) -> None:
    err.print(f"[dim]{len(written.entries):,} entries in the format {form.name}[/]")
    by_reason: dict[str, list[str]] = {}
    for loss in written.losses:
        by_reason.setdefault(loss.why, []).append(loss.entry.pattern.text)
    for why, names in by_reason.items():
        _warn(f"{len(names):,} {why}: {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}")


def _warn(message: str) -> None:
    err.print(f"[yellow]{escape(message)}[/]")


def _put(text: str, output: Path | None) -> None:
    """On standard output, or in a file that is there whole or not at all."""
    if output is None:
        click.echo(text, nl=False)
        return
    beside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(output)
    except OSError as why:
        beside.unlink(missing_ok=True)
        fail(f"writing `{output}`: {why.strerror or why}")
