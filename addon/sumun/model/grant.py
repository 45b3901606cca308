"""What was granted while the filter runs: exemptions, confirmed warnings and justifications, and requests for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sumun.model.name import IPAddress
from sumun.model.rule import Exemption, IPNetwork


class GrantKind(StrEnum):
    """How it came about. A closed set: an event field and a metric label."""

    EXEMPTION = "exemption"
    """An administrator let somebody through, whatever the rules say."""
    ACKNOWLEDGEMENT = "acknowledgement"
    """Somebody read a warning and went on."""
    JUSTIFICATION = "justification"
    """Somebody gave a reason, and an approver agreed where the rule names one."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody is let through until a time; exactly one of ``client`` and ``user`` is given."""

    id: str
    kind: GrantKind
    until: datetime
    """First instant at which it no longer holds."""
    service: str = ""
    """Id of the service; empty where the catalogue knows none, and then ``name`` tells the destination."""
    name: str = ""
    """Host name or address, for a destination of no service."""
    client: IPNetwork | None = None
    """A network for an exemption; one address for what a person confirmed there."""
    user: str | None = None
    segment: str = ""
    """Of the rule below; empty for an exemption, which holds in all."""
    rule: str = ""
    """Id of the rule that it passes; empty for an exemption, and for a segment's default."""
    reason: str = ""
    purpose: str = ""
    """Id of the purpose that was chosen on the page."""
    approver: str = ""
    given: datetime | None = None

    @classmethod
    def of(cls, exemption: Exemption) -> Grant:
        """One that the configuration gives."""
        return cls(
            exemption.id, GrantKind.EXEMPTION, exemption.until, exemption.service, "", exemption.client,
            exemption.user, reason=exemption.reason, approver=exemption.approver,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """Which passage is meant: somebody, a rule that stands in the way, and a destination."""

    client: IPAddress
    segment: str
    rule: str
    """Empty for the segment's default."""
    service: str = ""
    name: str = ""
    """Host name or address, for a destination of no service."""
    user: str = ""
    """Who it is, where one is known: then it is theirs, from whatever client."""

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two the same."""
        return self.user or str(self.client), self.segment, self.rule, self.service, self.name


class AskedState(StrEnum):
    """What became of a justification that needs an approver."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


@dataclass(frozen=True, slots=True)
class Justification:
    """A reason that somebody typed, waiting for its approver; ``reason`` is hostile text, cleaned and bounded."""

    id: str
    subject: Subject
    approver: str
    """Who may approve, as the rule says."""
    reason: str
    purpose: str
    length: int
    """Seconds for which it holds once it is approved."""
    asked: datetime
    state: AskedState = AskedState.PENDING
    decided: datetime | None = None
    decided_by: str = ""


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """Somebody asks to have a decision looked at again; ``text`` is hostile, cleaned and bounded."""

    id: str
    subject: Subject
    incident: str
    text: str
    asked: datetime
    closed: datetime | None = None
    closed_by: str = ""


class Change(StrEnum):
    """What happened to a grant or a request: an event field and a metric label."""

    GIVEN = "given"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ASKED = "asked"
    DENIED = "denied"
    CLOSED = "closed"
    """A request for review was dealt with."""
    REFUSED = "refused"
    """A form that did not count: forged, sent twice, from another site, too long."""


@dataclass(frozen=True, slots=True)
class GrantChanged:
    """A fact for the decision log; it is no decision, and no counter of decisions counts it."""

    at: datetime
    change: Change
    id: str
    kind: GrantKind | None
    """None for a request for review."""
    segment: str = ""
    rule: str = ""
    service: str = ""
    name: str = ""
    client: str = ""
    user: str = ""
    until: datetime | None = None
    reason: str = ""
    purpose: str = ""
    approver: str = ""
    by: str = ""
    """Who did it; empty: the person who asked, or time itself."""
    incident: str = ""

    @classmethod
    def of(cls, grant: Grant, change: Change, at: datetime, *, by: str = "", incident: str = "") -> GrantChanged:
        """What happened to this grant."""
        return cls(
            at, change, grant.id, grant.kind, grant.segment, grant.rule, grant.service, grant.name,
            _plain(grant.client), grant.user or "", grant.until, grant.reason, grant.purpose, grant.approver, by,
            incident,
        )  # fmt: skip

    @classmethod
    def about(  # noqa: PLR0913, PLR0917 - an event says all of this
        cls,
        subject: Subject,
        id_: str,
        kind: GrantKind | None,
        change: Change,
        at: datetime,
        reason: str = "",
        purpose: str = "",
        incident: str = "",
        by: str = "",
    ) -> GrantChanged:
        """What happened to a request about this subject."""
        return cls(
            at, change, id_, kind, subject.segment, subject.rule, subject.service, subject.name,
            str(subject.client), subject.user, reason=reason, purpose=purpose, incident=incident, by=by,
        )  # fmt: skip


def _plain(client: IPNetwork | None) -> str:
    """One address as an address."""
    if client is None:
        return ""
    return str(client.network_address if client.num_addresses == 1 else client)
