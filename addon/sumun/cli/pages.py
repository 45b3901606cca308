"""``sumun pages``: what users will see, before they see it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape as escape_html
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
from rich.markup import escape

from sumun import bootstrap
from sumun.cli.options import config_option
from sumun.cli.output import fail, out, print_faults
from sumun.config.fault import ConfigError
from sumun.model.fault import OperatorFault
from sumun.pages.asked import Page
from sumun.pages.gallery import gallery

_INDEX_HEADERS = (
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cache-control", "no-store"),
)


@click.group()
def pages() -> None:
    """Look at every page in every state, with the organisation's own words, in every language.

    Nothing is sent and nothing is recorded: the forms on these pages are void.
    """


@pages.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@config_option
def render(folder: Path, config: Path) -> None:
    """Write the pages to FOLDER, with an index."""
    found = _pages(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, page in found.items():
            (folder / name).write_bytes(page.body)
    except OSError as error:
        fail(f"`{folder}` cannot be written: {error.strerror}")
    out.print(f"wrote {len(found) - 1} pages: [bold]{escape(str(folder / 'index.html'))}[/]")


@pages.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8091, show_default=True, help="0: any that is free.")
@config_option
def preview(port: int, config: Path) -> None:
    """Serve the pages on loopback until Ctrl-C, with the header fields that users' browsers get."""
    found = _pages(config)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = found.get(self.path.partition("?")[0].removeprefix("/") or "index.html")
            status, headers, body = (page.status, page.headers, page.body) if page else (404, (), b"")
            self.send_response(status)
            for header in (*headers, ("content-length", str(len(body)))):
                self.send_header(*header)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server gives it
            """Say nothing: who looks knows it."""

    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        fail(f"cannot listen on `127.0.0.1` port `{port}`: {(error.strerror or str(error)).lower()}; choose another")
    with server:
        out.print(f"http://127.0.0.1:{server.server_port}/ shows {len(found) - 1} pages; Ctrl-C ends it")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return


def _pages(config: Path) -> Mapping[str, Page]:
    """Every page by its file name, the index among them."""
    try:
        loaded = bootstrap.load(config)
    except ConfigError as error:
        print_faults(error.faults)
        fail(f"`{config}` is not valid")
    except OperatorFault as error:
        fail(str(error))
    shown = gallery(
        segments=loaded.config.segments,
        rules=loaded.config.rules,
        services={service.id: service for service in loaded.services},
        organisation=loaded.config.organisation,
        at=bootstrap.now(),
    )
    found = {f"{each.name}.{each.language}.html": each.page for each in shown}
    return {**found, "index.html": _index(list(found))}


def _index(names: list[str]) -> Page:
    items = "\n".join(f'<li><a href="{escape_html(name)}">{escape_html(name)}</a></li>' for name in sorted(names))
    head = '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Pages</title>\n<h1>Pages</h1>\n'
    return Page(200, _INDEX_HEADERS, f"{head}<ul>\n{items}\n</ul>\n</html>\n".encode())
