"""What each enforcement point does with an outcome: used by the points themselves and by ``explain``.

Anything that an enforcement point finds out on the wire (a broken handshake, a protocol that is neither TLS nor
HTTP) can still turn these into ``refused`` or ``closed``; nothing can turn a refusal into a pass.
"""

from __future__ import annotations

from collections.abc import Mapping

from sumun.model.decision import Decision, Outcome, Reason, Undetermined
from sumun.model.name import IPAddress
from sumun.model.request import Facet
from sumun.model.rule import Action
from sumun.model.segment import DnsAnswer, DnsPolicy, FailMode
from sumun.model.verdict import Verdict

_DNS_ANSWERS = {
    DnsAnswer.SINKHOLE: Verdict.SINKHOLED,
    DnsAnswer.NULL: Verdict.NULL,
    DnsAnswer.NODATA: Verdict.NODATA,
    DnsAnswer.NXDOMAIN: Verdict.NXDOMAIN,
    DnsAnswer.REFUSED: Verdict.REFUSED,
}
_PAGES = {
    Action.BLOCK: Verdict.BLOCK_PAGE,
    Action.WARN: Verdict.WARN_PAGE,
    Action.JUSTIFY: Verdict.JUSTIFY_PAGE,
}

PAGES = frozenset(_PAGES.values())
"""Verdicts of the http point that show why."""


def must_see_inside(outcome: Outcome) -> bool:
    """Whether the http point has to see the decrypted request, to settle it or to act on it."""
    if isinstance(outcome, Undetermined):
        return True
    return not outcome.action.lets_through or bool(outcome.rule and outcome.rule.tenant)


def strictness(outcome: Outcome) -> int:
    """A rank among answers to several readings of one request: the strictest holds."""
    if isinstance(outcome, Undetermined):
        return 20
    if not outcome.action.lets_through:
        return 30 + outcome.action.strictness
    return (10 if outcome.rule and outcome.rule.tenant else 0) + outcome.action.strictness + outcome.concerns_ai


def dns_verdict(outcome: Outcome, dns: DnsPolicy) -> Verdict:
    """A block is answered by the sinkhole, what needs a page or an inspection is steered, the rest forwarded.

    A name whose path would have to be seen is shared with what is no generative AI (a search engine, say), and
    resolves: DNS never leads all of it through the proxy for the sake of a part.
    """
    if isinstance(outcome, Undetermined):
        return Verdict.STEERED if dns.steer and Facet.PATH not in outcome.needs else Verdict.FORWARDED
    if outcome.reason is Reason.UNKNOWN_CLIENT:
        return Verdict.REFUSED
    if outcome.action is Action.BLOCK:
        return _DNS_ANSWERS[dns.answer]
    return Verdict.STEERED if dns.steer and must_see_inside(outcome) else Verdict.FORWARDED


def sinkhole_addresses(
    outcome: Outcome, general: tuple[IPAddress, ...], by_category: Mapping[str, tuple[IPAddress, ...]]
) -> tuple[IPAddress, ...]:
    """Where a sinkholed or steered name leads: the rule's addresses, else those of the service's category, else all's.

    So that flow logs, which show addresses only, tell what was tried.
    """
    if isinstance(outcome, Decision) and outcome.rule and outcome.rule.sinkhole:
        return outcome.rule.sinkhole
    return by_category.get(outcome.service.category, general) if outcome.service else general


def gate_verdict(outcome: Outcome) -> Verdict:
    """Splice what policy need not look into, hand the rest to the http point, refuse strangers."""
    if isinstance(outcome, Decision) and outcome.reason is Reason.UNKNOWN_CLIENT:
        return Verdict.REFUSED
    return Verdict.INTERCEPTED if must_see_inside(outcome) else Verdict.SPLICED


def http_verdict(outcome: Outcome, on_failure: FailMode) -> Verdict:
    """Show a page or let through; what even this point cannot determine is a failure, and ends as the segment says."""
    if isinstance(outcome, Undetermined):
        return Verdict.CLOSED if on_failure is FailMode.CLOSED else Verdict.FORWARDED
    if outcome.reason is Reason.UNKNOWN_CLIENT:
        return Verdict.REFUSED
    return _PAGES.get(outcome.action, Verdict.FORWARDED)
