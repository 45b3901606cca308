"""The filter with a real store, and people who fill in its forms."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from sumun.model.grant import GrantChanged
from sumun.policy.engine import Policy
from sumun.proxy.forms import Book
from sumun.store.key import form_key
from sumun.store.store import Store
from sumun.store.watch import Watch
from tests.support.builders import NOON
from tests.support.proxies import Answer, Filter, filtering

HTML = ("-H", "Accept: text/html")


class Clock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **length: float) -> None:
        self.at += timedelta(**length)


@dataclass
class Desk:
    """A running proxy, its store, and what was told."""

    filter: Filter
    watch: Watch
    clock: Clock
    told: list[GrantChanged] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return self.watch.store

    async def open(self, url: str, *arguments: str, **how: Any) -> Answer:
        return await self.filter.curl(*HTML, *arguments, url, **how)

    async def send(self, url: str, fields: dict[str, str], *arguments: str, **how: Any) -> Answer:
        """Send a form; the body on standard input, so that it may be long."""
        return await self.filter.curl(
            *HTML, "--data-binary", "@-", *arguments, url, stdin=urlencode(fields).encode(), **how
        )


@asynccontextmanager
async def serving(
    folder: Path,
    policy: Policy | Callable[[], Policy],
    names: dict[str, Any] | None = None,
    *,
    clock: Clock | None = None,
    store: Store | None = None,
    **more: Any,
) -> AsyncIterator[Desk]:
    clock = clock or Clock()
    current = policy if callable(policy) else lambda: policy
    told: list[GrantChanged] = []
    watch = Watch(store or Store.at("", folder), clock=clock, tell=told.append)
    await watch.look()
    joined: dict[int, Policy] = {}

    def granting() -> Policy:
        base = current()
        key = hash((id(base), id(watch.current)))
        return joined.setdefault(key, base.granting(watch.current))

    book = Book(form_key(folder), watch, told.append)
    async with filtering(folder, granting, names, clock=clock, book=book, **more) as filter_:
        yield Desk(filter_, watch, clock, told)
    watch.store.close()


def form_of(page: Answer) -> tuple[str, dict[str, str]]:
    """The address of the page's form, and its hidden fields."""
    action = re.search(r'<form method="post" action="([^"]+)">', page.text)
    assert action, page.text
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text)
    return unescape(action[1]), {name: unescape(value) for name, value in hidden}
