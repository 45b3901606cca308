"""Updates of the subscribed lists of a configuration, put together."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

from sumun.config.fault import Unreadable
from sumun.config.settings import Settings
from sumun.config.values import http_proxy
from sumun.loading.build import guard_for
from sumun.loading.fetch import Fetcher, Resolve
from sumun.loading.from_files import FromFiles
from sumun.loading.outcome import NotTaken, Outcome
from sumun.loading.record import ListStore
from sumun.loading.sources import LoadError, read_never_block
from sumun.loading.update import Fetches, Updater


def updater(
    settings: Settings,
    resolve: Resolve,
    clock: Callable[[], datetime],
    environment: Mapping[str, str],
) -> Updater:
    """Make what updates the lists of these settings; raises LoadError."""
    fetcher = Fetcher(resolve, trust(settings.upstream_ca), proxy_for=proxies(settings.download_proxy, environment))
    return _updater(settings, fetcher, clock)


def importer(settings: Settings, files: Mapping[str, Path], clock: Callable[[], datetime]) -> Updater:
    """Make what takes lists from files, each in place of a URL; raises LoadError."""
    return _updater(settings, FromFiles(files), clock)


def _updater(settings: Settings, fetcher: Fetches, clock: Callable[[], datetime]) -> Updater:
    return Updater(fetcher, ListStore(settings.state), guard_for(settings, read_never_block()), clock)


def trust(roots: Path | None) -> ssl.SSLContext:
    """TLS with the roots that origins are verified against; raises LoadError."""
    try:
        context = ssl.create_default_context(cafile=roots)
    except OSError as why:  # also ssl.SSLError
        raise LoadError(f"reading `{roots}` (upstream_ca): {why.strerror or why}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def proxies(configured: str | None, environment: Mapping[str, str]) -> Callable[[str], str]:
    """Which HTTP proxy a host is reached through; an empty text: none."""
    if configured is not None:
        return lambda _host: configured
    given = environment.get("https_proxy") or environment.get("HTTPS_PROXY") or ""
    without = environment.get("no_proxy") or environment.get("NO_PROXY") or ""

    def proxy_for(host: str) -> str:
        if not given or _bypasses(host, without):
            return ""
        try:
            return http_proxy(given)
        except Unreadable as why:
            raise NotTaken(Outcome.UNREACHABLE, f"environment variable `https_proxy`: {why}") from None

    return proxy_for


def _bypasses(host: str, without: str) -> bool:
    """Whether a host, or a domain above it, is among those of `no_proxy`."""
    entries = [entry.strip().lstrip(".").lower() for entry in without.split(",") if entry.strip()]
    return "*" in entries or any(host == entry or host.endswith(f".{entry}") for entry in entries)
