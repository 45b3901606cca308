"""The policy's word on one name, read the way DNS needs it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dns.edns import EDECode
from dns.rdatatype import RdataType

from sumun.model.decision import Decision, Outcome, Reason
from sumun.model.rule import Action
from sumun.model.segment import DnsPolicy
from sumun.model.verdict import Verdict
from sumun.policy.by_name import names_the_destination
from sumun.policy.engine import Policy
from sumun.policy.verdicts import dns_verdict
from sumun.sinkhole.answers import Explanation
from sumun.sinkhole.structured_errors import structured_text
from sumun.telemetry.incident import NO_ID

_LEADS_TO_ADDRESS: Final = frozenset({RdataType.A, RdataType.AAAA, RdataType.HTTPS, RdataType.SVCB, RdataType.ANY})
"""Types by which a client would find the real address; of a steered name only the others are forwarded."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One policy's word on a name, and how the client's segment is served."""

    policy: Policy
    dns: DnsPolicy
    outcome: Outcome

    def verdict(self, type_: int) -> Verdict:
        """What is done about a question of this type."""
        verdict = dns_verdict(self.outcome, self.dns)
        if verdict is Verdict.STEERED and type_ not in _LEADS_TO_ADDRESS:
            return Verdict.FORWARDED
        return verdict

    @property
    def blocks(self) -> bool:
        """Whether nothing that is learnt later would let the name pass."""
        return isinstance(self.outcome, Decision) and self.outcome.action is Action.BLOCK

    @property
    def concerns_ai(self) -> bool:
        """Whether the attempt is logged."""
        return not isinstance(self.outcome, Decision) or self.outcome.concerns_ai

    @property
    def names_the_destination(self) -> bool:
        """Whether an administrator spoke of this very name, service or list, and not just of everything."""
        return names_the_destination(self.outcome)

    def lifetime(self, at: datetime) -> int | None:
        """Whole seconds for which a client may rely on this; None: until the policy is another.

        What was granted can be revoked, and the revocation must not wait for the client's cache.
        """
        boundary = self.outcome.valid_until
        remaining = [] if boundary is None else [max(0, int((boundary - at).total_seconds()))]
        return min([*remaining, *([self.dns.ttl] if self._was_granted else [])], default=None)

    @property
    def _was_granted(self) -> bool:
        outcome = self.outcome
        return isinstance(outcome, Decision) and (outcome.grant is not None or outcome.exemption is not None)

    def ttl(self, at: datetime) -> int:
        """Seconds that an answer of ours may be kept."""
        if self.outcome.valid_until is None:
            return self.dns.ttl
        lifetime = self.lifetime(at)
        return self.dns.ttl if lifetime is None else min(self.dns.ttl, lifetime)

    @property
    def full_until(self) -> datetime | None:
        """Until when an answer may be given with its whole time to live."""
        boundary = self.outcome.valid_until
        return None if boundary is None else boundary - timedelta(seconds=self.dns.ttl)

    def explanation(self, *, structured: bool = False) -> Explanation | None:
        """Why, for tools and for browsers that show it (RFC 8914, 4.5, 4.16 and 4.19).

        ``structured``: in a form that software reads, where the segment has it; None: that says nothing of this.
        """
        outcome = self.outcome
        if isinstance(outcome, Decision) and outcome.reason is Reason.UNKNOWN_CLIENT:
            return Explanation(EDECode.PROHIBITED, "this resolver does not serve your network")
        service = f": {outcome.service.title.within('en')}" if outcome.service else ""
        if not isinstance(outcome, Decision) or outcome.action is not Action.BLOCK:
            if structured and self.dns.structured_errors:
                return None
            return Explanation(EDECode.FORGED_ANSWER, f"led to the filter's own page{service}")
        by = f"rule {outcome.rule.id}" if outcome.rule else f"the default of {outcome.segment}"
        text = f"blocked by {by}, incident {NO_ID}{service}"
        if structured and self.dns.structured_errors and (found := structured_text(self.dns.structured_errors, text)):
            return Explanation(self.dns.ede, found, tells_incident=True, structured=True)
        return Explanation(self.dns.ede, text, tells_incident=True)
