"""What ``sumun up`` prints once everything serves: where, and how to try it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from sumun import bootstrap
from sumun.cli.options import DEFAULT_CONFIG
from sumun.cli.output import err
from sumun.config.settings import DnsListener, Settings


def print_hints(settings: Settings, config: Path, roles: Sequence[bootstrap.Role]) -> None:
    """Print the listeners of these roles and commands that show them at work, on standard error."""
    listen = settings.listen
    places = {
        bootstrap.Role.DNS: [("DNS", _dns(listen.dns))],
        bootstrap.Role.PROXY: [
            ("proxy", f"{listen.proxy.address}:{listen.proxy.port}"),
            ("pages", f"{listen.pages.address}:{listen.pages.http} (HTTP), {listen.pages.https} (HTTPS)"),
        ],
        bootstrap.Role.CONSOLE: [("console", f"http://{listen.console.address}:{listen.console.port}/")],
    }
    table = Table.grid(padding=(0, 2))
    for role in roles:
        for label, place in places[role]:
            table.add_row(f"  [dim]{label}[/]", escape(place))
    err.print("\n[bold green]Sumun is serving[/]")
    err.print(table)
    if set(roles) == set(bootstrap.Role) and config == DEFAULT_CONFIG:
        _print_trials(settings)
    err.print(f"\n[dim]events: {escape(str(settings.state / 'events.jsonl'))}   stop: Ctrl-C[/]\n")


def _dns(listen: DnsListener) -> str:
    more = f", {listen.tls.port} (TLS)" if listen.tls else ""
    more += f", {listen.https.port} (HTTPS)" if listen.https else ""
    return f"{listen.address}:{listen.port} (UDP and TCP){more}"


def _print_trials(settings: Settings) -> None:
    dns, proxy, console = settings.listen.dns, settings.listen.proxy, settings.listen.console
    sumun = "sumun" if shutil.which("sumun") else str(_script())
    trials = (
        (
            "blocked by DNS in the military-use segment",
            f"dig -b 127.0.0.3 -p {dns.port} @{dns.address} chat.deepseek.com",
        ),
        ("why", f"{sumun} explain 127.0.0.3 chat.deepseek.com"),
        ("the page, through the proxy", f"{sumun} ca show --pem > ca.pem"),
        (
            "",
            f"curl --interface 127.0.0.3 -x http://{proxy.address}:{proxy.port} --cacert ca.pem https://chat.deepseek.com/",
        ),
        ("metrics", f"curl http://{console.address}:{console.port}/metrics"),
    )
    err.print("\n[bold]Try[/] [dim](127.0.0.1 is hq-network, 127.0.0.2 external-facing, 127.0.0.3 military-use)[/]")
    for title, command in trials:
        if title:
            err.print(f"  [dim]# {title}[/]")
        err.print(f"  {escape(command)}")


def _script() -> Path:
    """How this very program was started, as short as it can be said from here."""
    script = Path(sys.argv[0])
    return script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script
