"""Checks on the lists of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path as FilePath

from sumun.config.document import Path
from sumun.config.fault import Unreadable, did_you_mean, quoted
from sumun.config.raw import RawConfig
from sumun.config.raw_list import RawList
from sumun.config.rules import Report
from sumun.config.surroundings import Surroundings
from sumun.config.values import list_url

type Doubt = tuple[Path, str]


def check_lists(raw: RawConfig, around: Surroundings, fault: Report) -> None:
    """Where lists come from, their formats, and the digests of those at hand."""
    for n, entry in enumerate(raw.lists):
        at = "lists", n
        if (entry.path is None) == (entry.url is None):
            fault(at, "a list has a `path` or a `url`: give one of them")
        if entry.id in around.reserved_lists:
            fault((*at, "id"), f"list `{entry.id}` comes with Sumun: choose another id")
        if entry.refresh < timedelta(minutes=5):
            fault((*at, "refresh"), "a list is asked for every `5m` at most")
        if around.formats is not None and entry.format not in around.formats:
            hint = did_you_mean(entry.format, around.formats)
            fault((*at, "format"), f"unknown format {quoted(entry.format)}{hint}")
        for key, message in (*_of_source(entry), *_of_text(entry, around)):
            fault((*at, key), message)


def _of_source(entry: RawList) -> Iterator[tuple[str, str]]:
    if entry.url is not None:
        yield from _unreadable("url", lambda: list_url(entry.url or ""))
    if entry.signature is not None:
        yield from _unreadable("signature", lambda: list_url(entry.signature or "", what="signature"))
        if entry.public_key is None:
            yield "signature", "`signature` goes with `public_key`: without it nothing can be verified"
    if entry.url is None and entry.public_key is not None:
        yield "public_key", "`public_key` goes with `url`: a local file is vetted by its `sha256`"


def _unreadable(key: str, read: Callable[[], object]) -> Iterator[tuple[str, str]]:
    try:
        read()
    except Unreadable as why:
        yield key, str(why)


def _of_text(entry: RawList, around: Surroundings) -> Iterator[tuple[str, str]]:
    """What is known of a local file; a subscription's copy is vetted when it is taken."""
    if not entry.path or around.list_digests is None:
        return
    digest = around.list_digests.get(entry.id)
    if digest is None:
        yield "path", f"no file at {quoted(entry.path)}: paths are relative to the working directory"
    elif entry.sha256 and digest != entry.sha256:
        yield "sha256", f"the list at hand has the digest `{digest}`: it is not the one that was vetted"


def doubtful_lists(raw: RawConfig, around: Surroundings) -> Iterator[Doubt]:
    """Subscriptions whose rules match nothing yet, or an older version than was meant."""
    if around.list_digests is None:
        return
    for n, entry in enumerate(raw.lists):
        digest = around.list_digests.get(entry.id)
        if entry.url and digest is None:
            copy = FilePath(raw.state) / "lists" / f"{entry.id}.txt"
            message = f"no copy of this list at `{copy}` yet: until it is fetched (`sumun lists update`)"
            yield ("lists", n, "url"), f"{message} its rules match nothing"
        elif entry.url and entry.sha256 and digest != entry.sha256:
            message = f"the copy at hand has the digest `{digest}`: it is used until the version meant is fetched"
            yield ("lists", n, "sha256"), message
