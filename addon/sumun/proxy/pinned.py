"""Clients that refused our certificate: reported, and let past our eyes only where a rule says so, for a time.

An application that knows its server's key (pinning), or a client without our authority, ends the handshake with an
alert. The next connection to the same host need not fail too, if the rule that wants to look into it can do without.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from datetime import datetime, timedelta

from sumun.model.decision import Decision, Outcome
from sumun.model.name import DomainName, IPAddress
from sumun.model.rule import OnPinned, Rule

logger = logging.getLogger(__name__)

LIFE = timedelta(hours=1)
"""For how long a client's connections to a host are spliced after it refused our certificate there."""
ENTRIES = 4096
_TOLD = 1000
"""Hosts that the log names, each once."""

type Host = DomainName | IPAddress


class Pinned:
    """Who refused, where."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[IPAddress, Host], datetime] = OrderedDict()
        self._told: set[Host] = set()

    def note(self, client: IPAddress, host: Host, outcome: Outcome, at: datetime) -> bool:
        """Take note of a refusal; returns whether the next connection will be spliced."""
        passes = may_pass(outcome)
        if host not in self._told and len(self._told) < _TOLD:
            self._told.add(host)
            what = "spliced for an hour from the next connection on" if passes else "and may not pass unseen"
            logger.warning("a client refuses our certificate for `%s`: it is %s", host, what)
        if passes:
            self._until[client, host] = at + LIFE
            self._until.move_to_end((client, host))
            if len(self._until) > ENTRIES:
                self._until.popitem(last=False)
        return passes

    def passes(self, client: IPAddress, host: Host | None, outcome: Outcome, at: datetime) -> bool:
        """Whether a connection that would be opened is spliced; costs nothing while nobody ever refused."""
        if not self._until or host is None:
            return False
        until = self._until.get((client, host))
        return until is not None and at < until and may_pass(outcome)


def may_pass(outcome: Outcome) -> bool:
    """Whether every rule for which the connection would be opened can do without.

    INVARIANT: what is stopped whatever the request says is never let through.
    """
    if isinstance(outcome, Decision):
        return outcome.action.lets_through and outcome.rule is not None and outcome.rule.on_pinned is OnPinned.SPLICE
    *looking, otherwise = outcome.candidates
    return bool(looking) and otherwise.action.lets_through and all(map(_does_without, (*looking, *_tenants(otherwise))))


def _does_without(rule: Rule) -> bool:
    return rule.on_pinned is OnPinned.SPLICE or (rule.action.lets_through and not rule.tenant)


def _tenants(rule: Rule) -> tuple[Rule, ...]:
    return (rule,) if rule.tenant else ()
