"""``sumun healthcheck``: does it really answer?"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from sumun import bootstrap
from sumun.cli.options import config_option, json_option
from sumun.cli.output import DOES_NOT_HOLD, fail, out, print_faults, print_json
from sumun.config.fault import ConfigError
from sumun.model.fault import OperatorFault


@click.command()
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice([r.value for r in bootstrap.Role]),
    help="Only this role; may be given again.  [default: all]",
)
@config_option
@json_option
def healthcheck(roles: tuple[str, ...], config: Path, *, as_json: bool) -> None:
    """Ask each role on this host a real question; exit status 0 if all answer, 1 if one does not.

    A configuration that is faulty now is no illness: the filter serves with the last good one.
    """
    try:
        settings = bootstrap.settings_in_force(config)
    except ConfigError as error:
        print_faults(error.faults)
        fail(f"`{config}` is not valid")
    except OperatorFault as error:
        fail(str(error))
    wanted = [bootstrap.Role(role) for role in roles] or list(bootstrap.Role)
    answers = asyncio.run(bootstrap.probe(settings, wanted))
    if as_json:
        print_json({"ok": not any(answers.values()), "roles": {r: why or "ok" for r, why in answers.items()}})
    for role, why in answers.items() if not as_json else ():
        out.print(f"{role}: [green]ok[/]" if not why else f"{role}: [red]{why}[/]")
    if any(answers.values()):
        raise SystemExit(DOES_NOT_HOLD)
