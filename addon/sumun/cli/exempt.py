"""``sumun exempt``: let somebody through until a time, end that, and answer those who asked."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import click
from rich.markup import escape
from rich.table import Table

from sumun import bootstrap
from sumun.cli.options import config_option, json_option
from sumun.cli.output import DOES_NOT_HOLD, fail, out, print_faults, print_json
from sumun.config.fault import ConfigError, Unreadable, did_you_mean
from sumun.config.moments import until as read_until
from sumun.config.values import line_of_words, network
from sumun.config.values import user as user_of
from sumun.loading.build import Loaded
from sumun.model.fault import OperatorFault
from sumun.model.grant import Grant, GrantKind, Justification, ReviewRequest
from sumun.model.rule import IPNetwork
from sumun.store.desk import Desk
from sumun.telemetry.incident import new_id


class _Office:
    """The desk, with what the configuration says."""

    def __init__(self, config: Path) -> None:
        try:
            self.loaded: Loaded = bootstrap.load(config)
            self.desk: Desk = bootstrap.desk(self.loaded)
        except ConfigError as error:
            print_faults(error.faults)
            fail(f"`{config}` is not valid")
        except (OperatorFault, OSError) as error:
            fail(str(error))
        self.at = bootstrap.now()

    @property
    def zone(self) -> ZoneInfo:
        return self.loaded.config.settings.zone

    def ask[T](self, question: Callable[[Desk], T]) -> T:
        try:
            return question(self.desk)
        except OperatorFault as fault:
            fail(str(fault))

    def local(self, at: datetime) -> str:
        return at.astimezone(self.zone).strftime("%a %Y-%m-%d %H:%M %Z")


def _read[T](parse: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """A parser of the configuration as a callback of an option: the same words are refused with the same reasons."""

    def check(_: click.Context, parameter: click.Parameter, value: str | None) -> T | None:
        try:
            return None if value is None else parse(value)
        except Unreadable as why:
            raise click.BadParameter(str(why), param=parameter) from None

    return check


def _words(text: str) -> str:
    if not text.strip():
        raise Unreadable("nothing is written here: say it in a few words")
    return line_of_words(text)


by_option = click.option(
    "--by", callback=_read(_words), help="Your name, for the record.  [default: the account on this host]"
)


@click.group()
def exempt() -> None:
    """Let somebody through until a time, end that, and answer those who asked.

    What is done here holds everywhere within a second, needs no reload, and outlives restarts. Each step is an event.
    """


@exempt.command()
@click.option("--client", callback=_read(network), help="Address or network, such as 10.20.0.7.")
@click.option("--user", callback=_read(user_of), help="Name of an authenticated user, or `group:NAME`.")
@click.option("--service", required=True, help="Id of the service (`sumun services find` knows it).")
@click.option("--until", required=True, help="`friday`, `tomorrow`, `8h`, `3d`, `2026-12-01` or `2026-12-01 18:00`.")
@click.option("--reason", required=True, callback=_read(_words), help="Why.")
@click.option("--approver", required=True, callback=_read(_words), help="Who approved it.")
@config_option
@json_option
def add(  # noqa: PLR0913 - one argument an option
    config: Path, client: IPNetwork | None, user: str | None, service: str, until: str, reason: str, approver: str,
    *, as_json: bool,
) -> None:  # fmt: skip
    """Let a client or a user use one service until a time, whatever the rules say.

    \b
      sumun exempt add --client 10.20.0.7 --service deepseek --until friday --reason "audit" --approver "Kim, CISO"
    """
    if (client is None) == (user is None):
        raise click.UsageError("an exemption is for a `--client` or for a `--user`: give one of them")
    office = _Office(config)
    known = {found.id for found in office.loaded.services}
    if service not in known:
        fail(f"unknown service `{service}`{did_you_mean(service, known)}")
    try:
        end = read_until(until, office.zone, office.at)
    except Unreadable as why:
        raise click.BadParameter(str(why), param_hint="--until") from None
    grant = Grant(
        new_id(office.at), GrantKind.EXEMPTION, end, service, "", client, user, reason=reason, approver=approver,
        given=office.at,
    )  # fmt: skip
    office.ask(lambda desk: desk.give(grant, office.at, by=_account(None)))
    if as_json:
        print_json(_grant(grant))
        return
    out.print(f"[green]{escape(grant.id)}[/]: {_who(grant)} may use {escape(service)} until {office.local(end)}")
    if client is not None and office.loaded.policy.segment_of(client.network_address) is None:
        out.print(f"[yellow]{client} is in no segment, and is refused all the same[/]")


@exempt.command("list")
@config_option
@json_option
def list_(config: Path, *, as_json: bool) -> None:
    """List what is granted now, in the store and in the configuration, and who waits for an approver."""
    office = _Office(config)
    held, waiting = office.ask(lambda desk: (desk.store.grants(office.at), desk.store.waiting()))
    configured = [Grant.of(each) for each in office.loaded.config.exemptions if each.until > office.at]
    if as_json:
        rows = [{**_grant(g), "source": "store"} for g in held]
        rows += [{**_grant(g), "source": "configuration"} for g in configured]
        print_json({"grants": rows, "waiting": [_justification(asked) for asked in waiting]})
        return
    _print_grants([*held, *configured], office)
    _print_waiting(waiting, office)


@exempt.command()
@click.argument("id_", metavar="ID")
@by_option
@config_option
@json_option
def revoke(id_: str, by: str | None, config: Path, *, as_json: bool) -> None:
    """End what was granted, at once and everywhere."""
    office = _Office(config)
    grant = office.ask(lambda desk: desk.revoke(id_.upper(), office.at, by=_account(by)))
    if grant is None:
        fail(f"nothing with the id `{id_}` is in force: `sumun exempt list` shows what is", status=DOES_NOT_HOLD)
    _done(grant, f"revoked: {_who(grant)} may no longer use {_what(grant)}", as_json=as_json)


@exempt.command()
@click.argument("id_", metavar="ID")
@click.option("--until", help="Another end than the rule's own length of time.")
@by_option
@config_option
@json_option
def approve(id_: str, until: str | None, by: str | None, config: Path, *, as_json: bool) -> None:
    """Approve a justification that waits: its time begins now."""
    office = _Office(config)
    try:
        end = None if until is None else read_until(until, office.zone, office.at)
    except Unreadable as why:
        raise click.BadParameter(str(why), param_hint="--until") from None
    grant = office.ask(lambda desk: desk.approve(id_.upper(), office.at, by=_account(by), until=end))
    if grant is None:
        _nobody_waits(id_)
    _done(grant, f"approved: {_who(grant)} may use {_what(grant)} until {office.local(grant.until)}", as_json=as_json)


@exempt.command()
@click.argument("id_", metavar="ID")
@by_option
@config_option
@json_option
def deny(id_: str, by: str | None, config: Path, *, as_json: bool) -> None:
    """Turn a justification down: the page says so, and lets the person ask again."""
    office = _Office(config)
    asked = office.ask(lambda desk: desk.deny(id_.upper(), office.at, by=_account(by)))
    if asked is None:
        _nobody_waits(id_)
    if as_json:
        print_json(_justification(asked))
    else:
        out.print(f"[green]denied[/]: {escape(str(asked.subject.client))}, {escape(asked.subject.service)}")


@exempt.command()
@click.option("--close", metavar="ID", help="Take this request off the list.")
@by_option
@config_option
@json_option
def reviews(close: str | None, by: str | None, config: Path, *, as_json: bool) -> None:
    """List requests to have a decision looked at again, or close one."""
    office = _Office(config)
    if close is not None:
        closed = office.ask(lambda desk: desk.close_review(close.upper(), office.at, by=_account(by)))
        if closed is None:
            fail(f"no open request has the id `{close}`", status=DOES_NOT_HOLD)
    found = office.ask(lambda desk: desk.store.reviews())
    if as_json:
        print_json({"reviews": [_review(review) for review in found]})
        return
    table = _table("id", "asked", "client", "segment", "service", "rule", "incident", "text")
    for r in found:
        subject = r.subject
        cells = (
            r.id, office.local(r.asked), str(subject.client), subject.segment, subject.service or subject.name,
            subject.rule, r.incident, r.text,
        )  # fmt: skip
        table.add_row(*map(escape, cells))
    out.print(table if found else "no request for review is open")


def _nobody_waits(id_: str) -> NoReturn:
    fail(f"no request with the id `{id_}` waits: `sumun exempt list` shows those that do", status=DOES_NOT_HOLD)


def _account(by: str | None) -> str:
    """The name given, else that of the account."""
    try:
        return by or getpass.getuser()
    except OSError:  # a container whose user has no name
        return "unknown"


def _done(grant: Grant, text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_grant(grant))
    else:
        out.print(f"[green]{escape(grant.id)}[/] {text}")


def _who(grant: Grant) -> str:
    if grant.client is None:
        return escape(f"user {grant.user}")
    return str(grant.client.network_address if grant.client.num_addresses == 1 else grant.client)


def _what(grant: Grant) -> str:
    return escape(grant.service or grant.name)


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading)
    return table


def _print_grants(grants: list[Grant], office: _Office) -> None:
    if not grants:
        out.print("nothing is granted")
        return
    table = _table("id", "kind", "who", "what", "rule", "until", "reason", "approver")
    for g in grants:
        cells = (g.id, g.kind.value, _who(g), _what(g), g.rule, office.local(g.until), g.reason, g.approver)
        table.add_row(*map(escape, cells))
    out.print(table)


def _print_waiting(waiting: list[Justification], office: _Office) -> None:
    if not waiting:
        return
    out.print("\nwaiting for approval (`sumun exempt approve ID`, `sumun exempt deny ID`):")
    table = _table("id", "asked", "client", "what", "rule", "approver", "purpose", "reason")
    for j in waiting:
        s = j.subject
        cells = (
            j.id, office.local(j.asked), str(s.client), s.service or s.name, s.rule, j.approver, j.purpose, j.reason,
        )  # fmt: skip
        table.add_row(*map(escape, cells))
    out.print(table)


def _grant(grant: Grant) -> dict[str, Any]:
    return {
        "id": grant.id, "kind": grant.kind, "client": str(grant.client) if grant.client else None,
        "user": grant.user, "service": grant.service or None, "name": grant.name or None,
        "segment": grant.segment or None, "rule": grant.rule or None, "until": grant.until.isoformat(),
        "given": grant.given.isoformat() if grant.given else None, "reason": grant.reason, "purpose": grant.purpose,
        "approver": grant.approver,
    }  # fmt: skip


def _justification(asked: Justification) -> dict[str, Any]:
    subject = asked.subject
    return {
        "id": asked.id, "state": asked.state, "client": str(subject.client), "segment": subject.segment,
        "rule": subject.rule or None, "service": subject.service or None, "name": subject.name or None,
        "approver": asked.approver, "purpose": asked.purpose, "reason": asked.reason,
        "asked": asked.asked.isoformat(), "seconds": asked.length,
    }  # fmt: skip


def _review(review: ReviewRequest) -> dict[str, Any]:
    subject = review.subject
    return {
        "id": review.id, "client": str(subject.client), "segment": subject.segment, "rule": subject.rule or None,
        "service": subject.service or None, "name": subject.name or None, "incident": review.incident,
        "text": review.text, "asked": review.asked.isoformat(),
    }  # fmt: skip
