"""``sumun check``: is the configuration right?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from sumun import bootstrap
from sumun.cli.options import config_option, json_option
from sumun.cli.output import COULD_NOT, DOES_NOT_HOLD, err, fail, out, print_faults, print_json
from sumun.config.fault import ConfigError
from sumun.loading.build import Loaded
from sumun.model.fault import OperatorFault


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@config_option
@json_option
def check(file: Path | None, config: Path, *, as_json: bool) -> None:
    """Check a configuration with its catalogue and lists; report every fault at once.

    Nothing is started and nothing running is touched. FILE is the same as --config FILE. Exit status 0: it can be used
    (warnings may have been printed); 1: it cannot; 2: it could not be read.
    """
    path = file or config
    try:
        loaded = bootstrap.load(path)
        bootstrap.vet_keys(path, loaded.config.settings)
    except ConfigError as error:
        if as_json:
            print_json({"ok": False, "faults": [asdict(fault) for fault in error.faults], "warnings": []})
        else:
            print_faults(error.faults)
            count = len(error.faults)
            err.print(f"[bold red]{escape(str(path))}: {count} fault{'s' * (count != 1)}[/]")
        raise SystemExit(DOES_NOT_HOLD) from None
    except OperatorFault as error:
        if as_json:
            print_json({"ok": False, "error": str(error)})
            raise SystemExit(COULD_NOT) from None
        fail(str(error))
    _tell(path, loaded, as_json=as_json)


def _tell(path: Path, loaded: Loaded, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, "faults": [], "warnings": [asdict(w) for w in loaded.warnings], **_summary(loaded)})
        return
    print_faults(loaded.warnings, colour="yellow")
    summary = _summary(loaded)
    out.print(
        f"[bold green]{escape(str(path))} is valid[/]: {summary['segments']} segments, {summary['rules']} rules, "
        f"{summary['services']} services with {summary['domains']} domains; policy revision {loaded.revision}"
    )


def _summary(loaded: Loaded) -> dict[str, Any]:
    config = loaded.config
    return {
        "policy_revision": loaded.revision,
        "segments": len(config.segments),
        "rules": len(config.rules) + sum(len(segment.rules) for segment in config.segments),
        "services": len(loaded.services),
        "domains": sum(len(service.domains) for service in loaded.services),
    }
