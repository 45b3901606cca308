"""What becomes of grants and requests, as events beside those of attempts. They are no decisions: none has a count."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

from sumun.model.grant import Change, GrantChanged
from sumun.telemetry.ecs import ECS_VERSION, clean
from sumun.telemetry.incident import new_id
from sumun.telemetry.metrics import Metrics
from sumun.telemetry.spool import Sink

log = logging.getLogger(__name__)

REVIEW = "review"
"""Stands for the kind where somebody asked for a review."""
_MAX_REASON = 1000
_TYPES = {
    Change.GIVEN: ["creation", "allowed"],
    Change.REVOKED: ["deletion"],
    Change.EXPIRED: ["deletion"],
    Change.DENIED: ["change", "denied"],
    Change.REFUSED: ["denied"],
}


class GrantLog:
    """Writes at once and waits for the disk, so it is called from threads; never raises."""

    def __init__(self, sink: Sink, metrics: Metrics | None = None) -> None:
        """Without metrics only the log is written: a command ends before anybody could scrape it."""
        self._sink, self._metrics = sink, metrics
        self._lock = threading.Lock()

    def __call__(self, changed: GrantChanged) -> None:
        """Log and count."""
        if self._metrics:
            self._metrics.grant_changes.labels(changed.kind or REVIEW, changed.change).inc()
        line = json.dumps(to_ecs(changed), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
        with self._lock:
            try:
                self._sink.write([line])
            except OSError as fault:
                log.error("event `%s` of `%s` cannot be written: %s", changed.change, changed.id, fault.strerror)  # noqa: TRY400  # says it all


def to_ecs(changed: GrantChanged) -> dict[str, Any]:
    """Say it in ECS names (category ``iam``: who may do what); what is not known is absent."""
    at = _instant(changed.at)
    return _present({
        "@timestamp": at,
        "ecs": {"version": ECS_VERSION},
        "event": {
            "id": new_id(changed.at), "kind": "event", "category": ["iam"],
            "type": _TYPES.get(changed.change, ["info"]), "outcome": "success",
            "action": f"{changed.kind or REVIEW}_{changed.change}",
        },
        "source": _present({"ip": changed.client if changed.client and "/" not in changed.client else None}),
        "user": _present({"name": clean(changed.user)}),
        "destination": _present({"domain": clean(changed.name)}),
        "observer": {"ingress": {"zone": changed.segment}} if changed.segment else None,
        "rule": _present({"id": changed.rule}),
        "sumun": {
            **_present({"segment": changed.segment}),
            "service": changed.service or "none",
            "grant": _present({
                "id": changed.id, "kind": str(changed.kind or REVIEW), "change": str(changed.change),
                "client": changed.client, "until": _instant(changed.until) if changed.until else None,
                "reason": _bounded(changed.reason), "purpose": changed.purpose, "approver": clean(changed.approver),
                "by": clean(changed.by), "incident": clean(changed.incident),
            }),
        },
    })  # fmt: skip


def _bounded(text: str) -> str:
    """What somebody typed to be recorded: on one line, and nothing in it but what can be printed."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:_MAX_REASON])


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value not in (None, "", [], {})}


def _instant(at: Any) -> str:
    text: str = at.isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
