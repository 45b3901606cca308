"""Values of the model to rows, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import RowMapping

from sumun.model.grant import AskedState, Grant, GrantKind, Justification, ReviewRequest, Subject

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def instant(at: datetime) -> int:
    """Whole microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def moment(number: int) -> datetime:
    """The instant, in UTC."""
    return _EPOCH + number * _MICROSECOND


def of_grant(grant: Grant, at: datetime) -> dict[str, Any]:
    """A new row, in force."""
    return {
        "id": grant.id, "kind": str(grant.kind), "segment": grant.segment, "rule": grant.rule,
        "service": grant.service, "name": grant.name, "client": str(grant.client or ""), "user": grant.user or "",
        "reason": grant.reason, "purpose": grant.purpose, "approver": grant.approver,
        "given": instant(grant.given or at), "until": instant(grant.until), "ended": 0,
    }  # fmt: skip


def to_grant(row: RowMapping | Mapping[str, Any]) -> Grant:
    """The grant of a row."""
    return Grant(
        id=row["id"],
        kind=GrantKind(row["kind"]),
        until=moment(row["until"]),
        service=row["service"],
        name=row["name"],
        client=ip_network(row["client"]) if row["client"] else None,
        user=row["user"] or None,
        segment=row["segment"],
        rule=row["rule"],
        reason=row["reason"],
        purpose=row["purpose"],
        approver=row["approver"],
        given=moment(row["given"]),
    )


def of_subject(subject: Subject) -> dict[str, Any]:
    """Columns that say who and what."""
    return {
        "segment": subject.segment, "rule": subject.rule, "service": subject.service, "name": subject.name,
        "client": str(subject.client), "user": subject.user,
    }  # fmt: skip


def to_subject(row: RowMapping) -> Subject:
    """Who and what."""
    return Subject(ip_address(row["client"]), row["segment"], row["rule"], row["service"], row["name"], row["user"])


def to_justification(row: RowMapping) -> Justification:
    """The request of a row."""
    return Justification(
        row["id"], to_subject(row), row["approver"], row["reason"], row["purpose"], row["length"],
        moment(row["asked"]), AskedState(row["state"]), moment(row["decided"]) if row["decided"] else None,
        row["decided_by"],
    )  # fmt: skip


def to_review(row: RowMapping) -> ReviewRequest:
    """The request of a row."""
    return ReviewRequest(
        row["id"], to_subject(row), row["incident"], row["text"], moment(row["asked"]),
        moment(row["closed"]) if row["closed"] else None, row["closed_by"],
    )  # fmt: skip
