"""What is reached: a generative-AI service and the domains it lives on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from sumun.model.name import DomainName, InvalidName
from sumun.model.text import Text

_ASTERISK = r"\042"


class Match(StrEnum):
    """How a catalogue domain matches a name."""

    SUFFIX = "suffix"
    """The domain and everything below it."""
    EXACT = "exact"
    """This name only."""
    GLOB = "glob"
    """``*`` stands for characters within one label: hosts that vary by region or tenant."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A name to match, in canonical spelling (a glob keeps its asterisks)."""

    text: str
    match: Match = Match.SUFFIX

    @classmethod
    def parse(cls, text: str, match: Match | None = None) -> Pattern:
        """Normalise what a list or a rule wrote; an asterisk makes it a glob; raises InvalidName."""
        name = DomainName.parse(text).text.replace(_ASTERISK, "*")
        if "*" not in name:
            return cls(name, match or Match.SUFFIX)
        labels = name.split(".")
        if labels[0] == "*":
            raise InvalidName(f"`{text}`: write `{name[2:]}`, which covers the name and everything below it")
        if any("*" in label for label in labels[-2:]):
            raise InvalidName(f"`{text}` could match names of many owners: the last two labels take no asterisk")
        return cls(name, Match.GLOB)

    @property
    def expression(self) -> re.Pattern[str]:
        """What a glob matches, as an expression over the whole name."""
        return re.compile("[^.]+".join(map(re.escape, self.text.split("*"))))

    @property
    def tail(self) -> str:
        """The literal labels that follow the last label with an asterisk: every match of a glob ends in them."""
        return self.text.rpartition("*")[2].partition(".")[2]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ServiceDomain:
    """One domain of a service, and where it was learnt."""

    pattern: Pattern
    role: str
    """What the service does there: web, api, app, auth, cdn, telemetry, marketing."""
    shared: bool = False
    """Also serves what is no generative AI; then only ``paths`` make a request one for the service."""
    paths: tuple[str, ...] = ()
    """Path prefixes of the service on a shared domain; without any the domain never decides."""
    sources: tuple[str, ...] = ()
    within: str = ""
    """Id of the service whose wider domain this name is carved out of, where there is one."""
    matches: tuple[str, ...] = ()
    """Hosts that a glob is meant for."""
    spares: tuple[str, ...] = ()
    """Neighbours that a glob must leave alone."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """An application of a service, for whoever manages devices."""

    platform: str
    id: str
    """As the platform's store knows it."""
    source: str = ""


UNKNOWN_COUNTRY = "ZZ"
"""ISO 3166 user-assigned code: where the vendor sits, or data lie, has not been established."""


@dataclass(frozen=True, slots=True)
class Service:
    """A generative-AI service as the catalogue knows it."""

    id: str
    title: Text
    vendor: str
    vendor_country: str
    """ISO 3166 alpha-2, or UNKNOWN_COUNTRY."""
    category: str
    domains: tuple[ServiceDomain, ...]
    parent: str | None = None
    parent_country: str | None = None
    data_countries: frozenset[str] = frozenset()
    """Where user data are kept; empty: not established."""
    aliases: tuple[str, ...] = ()
    vendor_source: str = ""
    """Where the vendor's country was learnt; ``inferred`` is general knowledge."""
    data_basis: str = ""
    """What establishes ``data_countries``: a law, a privacy policy, an announcement."""
    data_source: str = ""
    serves_models: tuple[str, ...] = ()
    """Open-weight families of other makers that run here (``deepseek``): a service is not a model."""
    models_evidence: str = ""
    on_premises: bool | None = None
    """Whether the vendor offers it for the organisation's own machines; None: not established."""
    on_premises_source: str = ""
    apps: tuple[App, ...] = ()
    ended: date | None = None
    """Day on which the service closed; None: it is active as far as is known."""
    reviewed: date | None = None
    """Day on which the entry was last read against its sources."""
    note: str = ""

    @property
    def status(self) -> str:
        """``active`` as far as is known, or ``ended``."""
        return "active" if self.ended is None else "ended"

    @property
    def vendor_countries(self) -> frozenset[str]:
        """The vendor's country and its parent company's."""
        return frozenset(c for c in (self.vendor_country, self.parent_country) if c)
