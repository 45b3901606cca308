"""What the proxy is made of, put together the same way behind our gate and inside somebody else's mitmproxy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mitmproxy.proxy.context import Context

from sumun.config.settings import Settings
from sumun.model.event import Events
from sumun.model.name import IPAddress
from sumun.model.organisation import Organisation
from sumun.pages.render import render_failure
from sumun.policy.engine import Policy
from sumun.proxy.addon import SumunAddon
from sumun.proxy.authentication import Authentication, Known
from sumun.proxy.caller import plain_address
from sumun.proxy.destination import Vetting
from sumun.proxy.exchanges import Exchanges
from sumun.proxy.forms import Book, Forms
from sumun.proxy.http_point import FailurePages, HttpPoint
from sumun.proxy.hygiene import Flaw
from sumun.proxy.onward import Onward
from sumun.proxy.origin import Origins
from sumun.proxy.pinned import Pinned
from sumun.proxy.ports import Pages, Resolver
from sumun.proxy.quick import Quick
from sumun.proxy.ruling import SMUGGLING
from sumun.proxy.signing_in import SignIn
from sumun.proxy.strict import Strictness
from sumun.proxy.telling import Teller
from sumun.telemetry.metrics import Metrics


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What is passed in, and what is made of it, each once."""

    settings: Settings
    policy: Callable[[], Policy]
    organisation: Callable[[], Organisation]
    events: Events
    metrics: Metrics
    resolver: Resolver
    pages: Pages
    ca_folder: Path
    clock: Callable[[], datetime]
    book: Book | None = None
    failure_pages: FailurePages = render_failure
    users: Known | None = None
    """Where users are known; None: only parents tell who asks, where the settings say so, or nobody does."""
    answers_at_gate: bool = True
    """False leaves every plain request to mitmproxy, so that a test can compare."""

    @cached_property
    def teller(self) -> Teller:
        """Asks policy, and tells."""
        return Teller(policy=self.policy, events=self.events, metrics=self.metrics, clock=self.clock)

    @cached_property
    def origins(self) -> Origins:
        """Finds and dials."""
        own = frozenset(own_listeners(self.settings))
        return Origins(self.resolver, Vetting(self.settings.internal_destinations, own))

    @cached_property
    def authentication(self) -> Authentication | None:
        """Finds out who asks; None where nobody is asked."""
        users = self.settings.users
        return Authentication(users, self.users, self.teller) if users else None

    @cached_property
    def pinned(self) -> Pinned:
        """Clients that refused our certificate."""
        return Pinned()

    @cached_property
    def forms(self) -> Forms | None:
        """Answers under the filter's own address."""
        return Forms(book=self.book, teller=self.teller, organisation=self.organisation) if self.book else None

    @cached_property
    def point(self) -> HttpPoint:
        """Settles requests."""
        return HttpPoint(self.teller, self.organisation, self.pages, self.failure_pages, self.forms)

    @cached_property
    def quick(self) -> Quick | None:
        """Answers at the gate what is stopped there."""
        if not self.answers_at_gate:
            return None
        settings = self.settings
        return Quick(self.point, self.forms, self.authentication, settings.trusted_parents, settings.proxy_limits.head)

    @cached_property
    def sign_in(self) -> SignIn | None:
        """The hooks that ask who the user is; None where nobody is asked."""
        asking = self.authentication
        return SignIn(asking, self.point, self.settings.trusted_parents) if asking else None

    @cached_property
    def strictness(self) -> Strictness:
        """The addon that comes after who chooses layers."""
        return Strictness(self._refused_unread, head=self.settings.proxy_limits.head)

    def _refused_unread(self, context: Context, flaw: Flaw) -> None:
        if flaw.is_smuggling:
            self.teller.bypass(plain_address(context.client.peername[0]), SMUGGLING)

    def hooks(self, options: Mapping[str, Any] | None = None, *, exchanges: Exchanges | None = None) -> list[object]:
        """The addons, in their order; ``options`` are set when a mitmproxy runs that was not made with them.

        There all of them come after its own, ``strictness`` among them.
        """
        ours = SumunAddon(
            point=self.point,
            origins=self.origins,
            forms=self.forms,
            trusted=self.settings.trusted_parents,
            options=options,
            pinned=self.pinned,
            sign_in=self.sign_in,
            exchanges=exchanges,
        )
        return [*filter(None, [self.sign_in]), Onward(self.origins), ours, *([self.strictness] if options else [])]


def own_listeners(settings: Settings) -> Iterator[tuple[IPAddress, int]]:
    """Every listener of this host, whichever role serves it."""
    listen = settings.listen
    for each in (listen.dns, listen.proxy, listen.console):
        yield each.address, each.port
    if listen.proxy_tls:
        yield listen.proxy_tls.address, listen.proxy_tls.port
    if listen.transparent:
        yield listen.transparent.address, listen.transparent.port
    for address in (*listen.pages.addresses, *listen.pages.further):
        yield address, listen.pages.http
        yield address, listen.pages.https
