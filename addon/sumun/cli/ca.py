"""``sumun ca``: the organisation's own certificate authority."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from sumun import bootstrap
from sumun.cli.options import config_option, json_option
from sumun.cli.output import fail, out, print_faults, print_json
from sumun.config.fault import ConfigError
from sumun.model.fault import OperatorFault

if TYPE_CHECKING:
    from sumun.proxy.ca import CertificateAuthority  # mitmproxy is an extra


@click.group()
def ca() -> None:
    """Make, show and export the certificate authority that signs the pages of blocked HTTPS sites.

    Install its certificate on the clients so that they can see the pages. Its private key stays on this host.
    """


def _state(config: Path) -> Path:
    try:
        return bootstrap.load(config).config.settings.state
    except ConfigError as error:
        print_faults(error.faults)
        fail(f"`{config}` is not valid")
    except OperatorFault as error:
        fail(str(error))


def _authority(config: Path, *, create: bool = False) -> CertificateAuthority:
    try:
        return bootstrap.authority(_state(config), create=create)
    except OperatorFault as error:
        fail(str(error))


@ca.command()
@config_option
def init(config: Path) -> None:
    """Make the authority, if there is none yet; an existing one is never replaced."""
    made = _authority(config, create=True)
    out.print(f"[green]authority ready[/], valid until {made.not_after:%Y-%m-%d}\nSHA-256 {made.fingerprint}")
    out.print("[dim]`sumun ca export` writes its certificate for clients[/]")


@ca.command()
@click.option("--pem", is_flag=True, help="Only the certificate, in PEM.")
@config_option
@json_option
def show(config: Path, *, pem: bool, as_json: bool) -> None:
    """Show the authority's certificate."""
    found = _authority(config)
    if pem:
        click.echo(found.certificate, nl=False)
    elif as_json:
        print_json({"not_after": found.not_after.isoformat(), "sha256": found.fingerprint, "folder": str(found.folder)})
    else:
        out.print(f"certificate authority in {escape(str(found.folder))}")
        out.print(f"valid until {found.not_after:%Y-%m-%d}\nSHA-256 {found.fingerprint}")
        out.print("[dim]`sumun ca export` writes its certificate for clients[/]")


@ca.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("sumun-ca.pem"), show_default=True
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["pem", "der"]),
    default="pem",
    show_default=True,
    help="DER is what Windows and Android ask for.",
)
@config_option
def export(config: Path, output: Path, format_: str) -> None:
    """Write the certificate, never the key, to a file for installation on clients."""
    found = _authority(config)
    der = ssl.PEM_cert_to_DER_cert(found.certificate)
    output.write_bytes(der if format_ == "der" else found.certificate.encode())
    out.print(f"wrote {escape(str(output))} (SHA-256 {found.fingerprint})")
