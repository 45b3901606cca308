"""Answers that can be given again without parsing the question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from sumun.model.name import IPAddress
from sumun.policy.engine import Policy
from sumun.sinkhole.outcome import Answer, Protocol

_MAX_ANSWERS = 131_072
"""Answers kept, of less than a kilobyte each; beyond, the oldest eighth of the largest table goes."""
_MAX_CLIENTS = 65_536
_MAX_QUERY = 320
"""Octets of a query worth remembering: the longest name, with a plain OPT record."""

MAPPED = bytes(10) + b"\xff\xff"
"""What an IPv4 address begins with where a socket for both families says it."""

type Scope = tuple[str | IPAddress, Protocol]
"""Who shares an answer: a segment, or one client where rules name clients or it was granted something; and over what,
since sizes differ."""
type Table = dict[bytes, Answer]
"""Octets of a query after its id, to its answer."""


@dataclass(slots=True)
class ReadyAnswers:
    """Bounded memory of one policy's answers; another policy finds it empty.

    INVARIANT: the key holds every octet of the query after its id and the scope that the policy distinguishes, so
    an answer never reaches a segment, a spelling or an EDNS dialect that it was not made for.
    """

    _policy: Policy | None = None
    _by_client: frozenset[str] = frozenset()
    _tables: dict[Scope, Table] = field(default_factory=dict)
    _udp: dict[bytes, Table] = field(default_factory=dict)
    _count: int = 0

    def udp_tables(self, policy: Policy) -> dict[bytes, Table]:
        """The table of each client that asked over UDP, by the octets of its address; look in, do not change."""
        self._forget_others(policy)
        return self._udp

    def table(self, policy: Policy, client: IPAddress, protocol: Protocol, segment: Callable[[], str]) -> Table:
        """The answers of one policy for this client; the segment is looked up once for each client."""
        self._forget_others(policy)
        if protocol == "udp" and (known := self._udp.get(client.packed)) is not None:
            return known
        name = segment()
        of_their_own = name in self._by_client or policy.grants.concern(client)
        table = self._tables.setdefault((client if of_their_own else name, protocol), {})
        if protocol == "udp":
            if len(self._udp) >= _MAX_CLIENTS:
                self._udp.clear()
            self._udp[client.packed] = table
            if client.version == 4:
                self._udp[MAPPED + client.packed] = table
        return table

    def keep(self, table: Table, wire: bytes, answer: Answer, until: datetime | None) -> None:
        """Remember an answer that holds before ``until``; None: as long as its policy."""
        if len(wire) > _MAX_QUERY:
            return
        if until is not None:
            answer.until = min(answer.until, until.timestamp())
        if self._count >= _MAX_ANSWERS:
            self._make_room()
        self._count += wire[2:] not in table
        table[wire[2:]] = answer

    def _make_room(self) -> None:
        largest = max(self._tables.values(), key=len)
        for key in list(islice(largest, len(largest) // 8 + 1)):
            del largest[key]
        self._count = sum(map(len, self._tables.values()))

    def _forget_others(self, policy: Policy) -> None:
        if policy is not self._policy:
            self._tables, self._udp, self._count = {}, {}, 0
            self._policy, self._by_client = policy, _segments_that_name_clients(policy)


def find(table: Table, wire: bytes, at: datetime) -> Answer | None:
    """The answer to these octets, if it still holds at this instant."""
    answer = table.get(wire[2:])
    return answer if answer is not None and answer.lives(at.timestamp()) else None


def _segments_that_name_clients(policy: Policy) -> frozenset[str]:
    return frozenset(
        segment for segment, rules in policy.rules.items() if any(r.rule.when.clients is not None for r in rules)
    )
