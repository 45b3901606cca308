"""Rules and exemptions: what an administrator decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

from sumun.model.name import IPAddress
from sumun.model.schedule import Schedule
from sumun.model.service import Pattern
from sumun.model.text import Text

type IPNetwork = IPv4Network | IPv6Network


class Action(StrEnum):
    """What a rule asks for, from the mildest to the strictest."""

    ALLOW = "allow"
    MONITOR = "monitor"
    WARN = "warn"
    JUSTIFY = "justify"
    BLOCK = "block"

    @property
    def strictness(self) -> int:
        """Rank in the order above, 0 to 4."""
        return list(Action).index(self)

    @property
    def lets_through(self) -> bool:
        """Whether the user sees nothing of it."""
        return self in (Action.ALLOW, Action.MONITOR)


class Mode(StrEnum):
    """Whether a rule acts, or is only evaluated and counted."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class OnPinned(StrEnum):
    """What becomes of a client that refuses our certificate, where the rule needs to look inside."""

    REFUSE = "refuse"
    SPLICE = "splice"
    """Its next connections to that host pass unseen, for a time."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must hold; ``None`` is a condition not given, and a list holds if any of its values does."""

    services: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    """``*`` stands for every category, that is, for any service of the catalogue."""
    vendor_countries: frozenset[str] | None = None
    data_countries: frozenset[str] | None = None
    on_premises: bool | None = None
    """True: the vendor is known to offer it for the organisation's own machines; False: every other service."""
    domains: tuple[Pattern, ...] | None = None
    lists: frozenset[str] | None = None
    clients: tuple[IPNetwork, ...] | None = None
    users: frozenset[str] | None = None
    """Names of users, and ``group:NAME``."""
    models: tuple[str, ...] | None = None
    """Globs over the whole model name, without regard to case."""
    content: frozenset[str] | None = None
    """Ids of detectors."""
    uploads: bool | None = None

    @property
    def names_a_destination(self) -> bool:
        """Whether any condition is on the name asked for."""
        return any(
            given is not None
            for given in (
                self.services, self.categories, self.vendor_countries, self.data_countries, self.on_premises,
                self.domains, self.lists,
            )
        )  # fmt: skip

    @property
    def looks_inside(self) -> bool:
        """Whether any condition is on what only a decrypted request shows."""
        return self.models is not None or self.content is not None or self.uploads is not None


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; the order of rules is the only tie-break."""

    id: str
    action: Action
    when: Conditions = field(default_factory=Conditions)
    schedule: Schedule = field(default_factory=Schedule)
    mode: Mode = Mode.ENFORCE
    reason: Text = field(default_factory=Text)
    reference: str = ""
    authority: str = ""
    review: date | None = None
    ttl: timedelta | None = None
    """How long a warning or a justification is remembered."""
    approver: str = ""
    tenant: tuple[tuple[str, str], ...] = ()
    """Header fields that keep a service to the organisation's own workspace."""
    sinkhole: tuple[IPAddress, ...] = ()
    """Addresses that its names are answered with over DNS; empty: those of its category, or the general ones."""
    on_pinned: OnPinned = OnPinned.REFUSE


@dataclass(frozen=True, slots=True)
class Exemption:
    """A client or a user let through for a service until a time, with who, why and who approved."""

    id: str
    service: str
    until: datetime
    client: IPNetwork | None = None
    user: str | None = None
    reason: str = ""
    approver: str = ""
