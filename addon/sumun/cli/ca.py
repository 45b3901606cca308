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
        print_json({
            "not_after": found.not_after.isoformat(), "sha256": found.fingerprint, "folder": str(found.folder),
            "intermediate_not_after": found.signing_not_after.isoformat() if found.has_intermediate else None,
            "root_key": found.has_root_key,
        })  # fmt: skip
    else:
        out.print(f"certificate authority in {escape(str(found.folder))}")
        out.print(f"valid until {found.not_after:%Y-%m-%d}\nSHA-256 {found.fingerprint}")
        if found.has_intermediate:
            where = "is here: `sumun ca root-key` takes it away" if found.has_root_key else "is not here"
            out.print(f"intermediate valid until {found.signing_not_after:%Y-%m-%d}; the root's key {where}")
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


@ca.command("root-key")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--remove", is_flag=True, help="Remove it from this host, once it is written.")
@config_option
def root_key(config: Path, output: Path, *, remove: bool) -> None:
    """Write the root's key to a new file, to be kept off this host.

    Pages go on being signed by the intermediate until that ends; `sumun ca rotate --root-key FILE` makes the next one.
    """
    try:
        bootstrap.export_root_key(_state(config), output, remove=remove)
    except OperatorFault as error:
        fail(str(error))
    removed = " and removed from this host" if remove else ""
    out.print(f"wrote {escape(str(output))}{removed}: whoever has it can sign for any site")


@ca.command()
@click.option("--root", "whole", is_flag=True, help="Another root too, for clients to install; the old one stays good.")
@click.option(
    "--root-key",
    "key",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File with the root's key, where it is not on this host.",
)
@config_option
def rotate(config: Path, *, whole: bool, key: Path | None) -> None:
    """Make another intermediate, or another root with one; the proxy takes it when it is started again.

    A new intermediate needs nothing of clients. A new root is vouched for by the old one, so clients with either see
    the pages; install the new one before the old one ends.
    """
    try:
        made = bootstrap.rotate_authority(_state(config), whole=whole, root_key=key)
    except OperatorFault as error:
        fail(str(error))
    out.print(f"intermediate valid until {made.signing_not_after:%Y-%m-%d}")
    out.print(f"root valid until {made.not_after:%Y-%m-%d}\nSHA-256 {made.fingerprint}")
    out.print("[dim]restart the proxy to use it; `sumun ca export` writes the root for clients[/]")
