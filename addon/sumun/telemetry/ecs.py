"""A record as an Elastic Common Schema 9 document.

Categories, types and outcome follow "Using the categorization fields" of the ECS reference: a firewall that blocks has
done its work, so its outcome is ``success``; that access was denied stands in ``event.type``. What is not known is
absent, never null. Docs: docs/reference/events.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sumun.model.decision import Decision, Undetermined
from sumun.model.event import AccessDecided
from sumun.model.request import AccessRequest, Unknown
from sumun.model.verdict import Point, Verdict
from sumun.telemetry.record import UNDETERMINED, Record, service_of

ECS_VERSION = "9.0.0"
MAX_TEXT = 256
"""Characters of an untrusted text that are kept."""
_PASSED = frozenset({Verdict.FORWARDED, Verdict.SPLICED})
_HANDED_ON = frozenset({Verdict.STEERED, Verdict.INTERCEPTED})
"""Neither allowed nor denied yet: a later point will say."""
_CATEGORY = {Point.DNS: ["network"], Point.GATE: ["network"], Point.HTTP: ["network", "web"]}
_TYPE = {Point.DNS: "protocol", Point.GATE: "connection", Point.HTTP: "access"}


def to_ecs(record: Record) -> dict[str, Any]:
    """Say the record in ECS names, nested, ready for JSON."""
    event = record.event
    return {
        "@timestamp": _instant(record.first_seen),
        "ecs": {"version": ECS_VERSION},
        "event": _event(record),
        "source": {"ip": str(event.request.client)},
        **({"user": {"name": clean(event.request.user)}} if isinstance(event.request.user, str) else {}),
        "observer": {"ingress": {"zone": event.outcome.segment}},
        "rule": _rule(record),
        "sumun": _sumun(record),
        **_destination(event),
        **_protocols(event),
    }


def _event(record: Record) -> dict[str, Any]:
    event = record.event
    return {
        "id": record.id,
        "kind": "alert" if event.bypass else "event",
        "category": _CATEGORY[event.point],
        "type": [_TYPE[event.point], *_permission(event.verdict)],
        "outcome": "failure" if event.context.failure else "success",
        "action": str(event.verdict),
        "reason": str(event.outcome.reason) if isinstance(event.outcome, Decision) else UNDETERMINED,
    }


def _permission(verdict: Verdict) -> list[str]:
    if verdict in _HANDED_ON:
        return []
    return ["allowed"] if verdict in _PASSED else ["denied"]


def _rule(record: Record) -> dict[str, str | None]:
    outcome = record.event.outcome
    rule, exemption = record.shadow, None
    if rule is None and isinstance(outcome, Decision):
        rule, exemption = outcome.rule, outcome.exemption
    return _present({
        "id": rule.id if rule else exemption,
        "reference": clean(rule.reference) if rule else None,
        "version": outcome.policy_revision,
    })  # fmt: skip


def _sumun(record: Record) -> dict[str, Any]:
    event, outcome = record.event, record.event.outcome
    return _present({
        "point": str(event.point),
        "segment": outcome.segment,
        "service": service_of(event),
        "grant": _grant(record),
        "action": record.action,
        "verdict": str(event.verdict),
        "mode": str(record.mode),
        "policy_revision": outcome.policy_revision,
        "count": record.count,
        "first_seen": _instant(record.first_seen),
        "last_seen": _instant(record.last_seen),
        "data_exposed": str(event.data_exposed),
        "needs": sorted(map(str, outcome.needs)) if isinstance(outcome, Undetermined) else None,
        "detectors": _detectors(event.request),
        "bypass": clean(event.bypass),
        "pinned": event.context.pinned or None,
    })  # fmt: skip


def _grant(record: Record) -> dict[str, str] | None:
    outcome = record.event.outcome
    grant = outcome.grant if isinstance(outcome, Decision) and record.shadow is None else None
    return {"id": grant} if grant else None


def _detectors(request: AccessRequest) -> list[str] | None:
    return None if isinstance(request.content, Unknown) else sorted(request.content)


def _destination(event: AccessDecided) -> dict[str, Any]:
    request = event.request
    destination = _present({
        "domain": None if request.name is None else request.name.text,
        "ip": None if request.address is None else str(request.address),
        "port": request.port,
    })  # fmt: skip
    return {"destination": destination} if destination else {}


def _protocols(event: AccessDecided) -> dict[str, Any]:
    request, context = event.request, event.context
    host = request.name or request.address
    question = _present({"name": str(request.name or ""), "type": clean(context.dns_type)})
    url = _present({"domain": str(host or ""), "scheme": _scheme(context.protocol)})
    return _present({
        "dns": {"question": question} if event.point is Point.DNS else None,
        "url": url if event.point is not Point.DNS and host else None,
        "http": {"request": {"method": clean(request.method)}} if request.method else None,
        "tls": {"client": {"server_name": clean(context.server_name)}} if context.server_name else None,
        "user_agent": {"original": clean(context.user_agent)} if context.user_agent else None,
    })  # fmt: skip


def _scheme(protocol: str | None) -> str | None:
    return protocol if protocol in ("http", "https") else None


def clean(text: str | None) -> str | None:
    """Bound an untrusted text and take out what could break a line, a terminal or a reader's eye.

    Control, format (such as right-to-left override), surrogate and unassigned characters and line separators become
    U+FFFD.
    """
    if text is None:
        return None
    shown = text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in shown)


def _present[T](fields: Mapping[str, T]) -> dict[str, T]:
    return {key: value for key, value in fields.items() if value not in (None, "", [])}


@lru_cache(maxsize=1024)
def _instant(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds; one instant stands in many records, and twice in each."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
