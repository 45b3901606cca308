"""The configuration as the file says it: every key, its form and its default.

Values are read one by one (``forms``); what they mean together is ``parse``. The descriptions are what an editor shows.
"""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from sumun.config import values
from sumun.config.forms import Id, Line, Raw, Some, Words, Zone, read
from sumun.config.raw_list import RawDownloads, RawList
from sumun.config.raw_listen import RawDestinations, RawListen, RawResolver
from sumun.config.raw_next_proxy import RawNextProxy
from sumun.config.raw_rule import RawExemption, RawRule
from sumun.config.raw_segment import RawAccent, RawSegment
from sumun.config.raw_users import RawUsers
from sumun.config.settings import Upstream
from sumun.config.upstreams import SYSTEM, upstream
from sumun.model.text import Text


class RawOrganisation(Raw):
    """Who deploys the filter, as its pages say."""

    name: Words = Text()
    contact: Annotated[str, read(values.contact)] = Field(
        default="", description="E-mail or https address for questions."
    )
    accent: RawAccent | None = Field(default=None, description="Colour of links, buttons and marks on the pages.")
    logo: Line = Field(default="", description="PNG or SVG file for the pages, 8 KiB at most.")


class RawConfig(Raw):
    """Configuration of Sumun."""

    version: Literal[1]
    organisation: RawOrganisation = Field(default_factory=RawOrganisation)
    zone: Zone = Field(default=ZoneInfo("UTC"), description="For dates and hours without a zone of their own.")
    listen: RawListen = RawListen()
    upstreams: Some[Annotated[Upstream, read(upstream)]] = Field(
        default=[SYSTEM], description="`system`, or resolvers over UDP, TLS or HTTPS."
    )
    resolver: RawResolver = RawResolver()
    upstream_ca: Line = Field(
        default="system", description="Roots that origins are verified against: system, or a PEM file."
    )
    destinations: RawDestinations = RawDestinations()
    state: Line = Field(default="var/", description="Folder of events, certificates and the last good policy.")
    store: Annotated[str, read(values.store_url)] = Field(
        default="", description="PostgreSQL URL of the store of grants, for several hosts; else a file in `state`."
    )
    segments: dict[Id, RawSegment] = Field(min_length=1)
    rules: list[RawRule] = Field(default=[], description="Asked before every segment's own rules.")
    unknown_clients: Line = Field(
        default="refuse", description="refuse, or the segment that clients of no segment are in."
    )
    lists: list[RawList] = Field(default=[])
    downloads: RawDownloads = RawDownloads()
    exemptions: list[RawExemption] = Field(default=[])
    upstream_proxy: RawNextProxy | None = Field(
        default=None, description="Another proxy, through which this one reaches the internet."
    )
    users: RawUsers | None = Field(default=None, description="Without it nobody is asked who they are.")
