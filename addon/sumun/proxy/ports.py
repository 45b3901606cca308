"""What the proxy needs of others, one small method each."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sumun.model.decision import Decision
from sumun.model.name import DomainName, IPAddress
from sumun.model.organisation import Organisation
from sumun.model.segment import Segment
from sumun.model.verdict import DataExposed
from sumun.pages.offer import Offer
from sumun.pages.render import Asked, Page


class Resolver(Protocol):
    """Finds the addresses of origins, never through the system's resolver, which may be our own sinkhole."""

    async def addresses(self, name: DomainName) -> tuple[IPAddress, ...]:
        """All addresses, the preferred first, or sumun.upstream.errors.UpstreamError within a few seconds."""
        ...


class Pages(Protocol):
    """Shows a decision to a person or to a program."""

    def __call__(  # noqa: PLR0913 - each is said by name
        self,
        asked: Asked,
        decision: Decision,
        *,
        segment: Segment | None,
        organisation: Organisation,
        incident: str,
        at: datetime,
        data_exposed: DataExposed,
        offer: Offer | None,
    ) -> Page:
        """Make the answer; all of ``asked`` is hostile text."""
        ...
