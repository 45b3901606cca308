"""Answers of ours that can be given again without parsing the question."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sumun.model.name import IPAddress
from sumun.policy.engine import Policy
from sumun.sinkhole.outcome import Answer

_GENERATION = 32_768
"""Answers in each of two generations, of less than a kilobyte each."""
_MAX_QUERY = 320
"""Octets of a query worth remembering: the longest name, with a plain OPT record."""

type Scope = str | IPAddress
"""Who shares an answer: a segment, or one client where rules name clients or it was granted something."""
type _Entry = tuple[Answer, datetime | None]


@dataclass(slots=True)
class ReadyAnswers:
    """Bounded memory of one policy's answers; another policy finds it empty.

    INVARIANT: the key holds every octet of the query after its id and the scope that the policy distinguishes, so
    an answer never reaches a segment, a spelling or an EDNS dialect that it was not made for.
    """

    _policy: Policy | None = None
    _by_client: frozenset[str] = frozenset()
    _young: dict[tuple[Scope, bytes], _Entry] = field(default_factory=dict)
    _old: dict[tuple[Scope, bytes], _Entry] = field(default_factory=dict)

    def scope(self, policy: Policy, segment: str, client: IPAddress) -> Scope:
        """Forget another policy's answers, and say who shares one of this policy's.

        What is granted or revoked while the filter runs makes another policy too, so nothing outlives it here.
        """
        if policy is not self._policy:
            self._young, self._old = {}, {}
            self._policy, self._by_client = policy, _segments_that_name_clients(policy)
        return client if segment in self._by_client or policy.grants.concern(client) else segment

    def find(self, scope: Scope, wire: bytes, at: datetime) -> Answer | None:
        """The answer to these octets, if it still holds at this instant."""
        key = (scope, wire[2:])
        entry = self._young.get(key) or self._old.get(key)
        if entry is None or (entry[1] is not None and at >= entry[1]):
            return None
        if key not in self._young:
            self._keep(key, entry)
        return entry[0]

    def keep(self, scope: Scope, wire: bytes, answer: Answer, until: datetime | None) -> None:
        """Remember an answer that holds before ``until``; None: as long as its policy."""
        if len(wire) <= _MAX_QUERY:
            self._keep((scope, wire[2:]), (answer, until))

    def _keep(self, key: tuple[Scope, bytes], entry: _Entry) -> None:
        if len(self._young) >= _GENERATION:
            self._old, self._young = self._young, {}
        self._young[key] = entry


def _segments_that_name_clients(policy: Policy) -> frozenset[str]:
    return frozenset(
        segment for segment, rules in policy.rules.items() if any(r.rule.when.clients is not None for r in rules)
    )
