"""Answers that can be given again without parsing the question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from sumun.model.name import IPAddress
from sumun.policy.engine import Policy
from sumun.sinkhole.outcome import Answer, Attempt, Labels, Protocol

_MAX_ANSWERS = 131_072
"""Answers kept, of half a kilobyte each; beyond, the oldest eighth of the largest table goes."""
_MAX_SHARED = 4096
_LET_GO = 256
"""Answers of another policy that are forgotten for each look: all at once would keep queries waiting."""
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
    _streams: dict[tuple[bytes, Protocol], Table] = field(default_factory=dict)
    _count: int = 0
    _old: list[Table] = field(default_factory=list)
    _attempts: dict[tuple[object, ...], Attempt] = field(default_factory=dict)
    _labels: dict[Labels, Labels] = field(default_factory=dict)

    def udp_tables(self, policy: Policy) -> dict[bytes, Table]:
        """The table of each client that asked over UDP, by the octets of its address; look in, do not change."""
        self._forget_others(policy)
        return self._udp

    def table(self, policy: Policy, client: IPAddress, protocol: Protocol, segment: Callable[[], str]) -> Table:
        """The answers of one policy for this client; the segment is looked up once for each client."""
        self._forget_others(policy)
        known = self._udp.get(client.packed) if protocol == "udp" else self._streams.get((client.packed, protocol))
        if known is not None:
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
        else:
            if len(self._streams) >= _MAX_CLIENTS:
                self._streams.clear()
            self._streams[client.packed, protocol] = table
        return table

    def asked(self, most: int) -> Iterator[tuple[bytes, Protocol, bytes, Answer]]:
        """The newest questions of each table, which may change meanwhile: a client, over what, and its octets."""
        over_udp: dict[int, tuple[bytes, Protocol]] = {id(table): (who, "udp") for who, table in self._udp.items()}
        askers = over_udp | {id(table): asker for asker, table in self._streams.items()}
        for table in list(self._tables.values()):
            newest = list(islice(reversed(table.items()), most)) if id(table) in askers else []
            for wire, answer in newest:
                yield *askers[id(table)], wire, answer

    def take_over(self, before: ReadyAnswers) -> None:
        """Let go what was remembered before, little by little."""
        self._old += [*before._old, *before._tables.values()]

    def keep(self, table: Table, wire: bytes, answer: Answer, until: datetime | None) -> None:
        """Remember an answer that holds before ``until``; None: as long as its policy."""
        if len(wire) > _MAX_QUERY:
            return
        if until is not None:
            answer.until = min(answer.until, until.timestamp())
        if self._count >= _MAX_ANSWERS:
            self._make_room()
        self._share(answer)
        self._count += wire[2:] not in table
        table[wire[2:]] = answer

    def _share(self, answer: Answer) -> None:
        """Let answers of a kind hold the same objects; of an attempt only the name is its own, and the question has it.

        INVARIANT: what is kept speaks of the very name that was asked for.
        """
        if len(self._labels) + len(self._attempts) > _MAX_SHARED:
            self._labels.clear()
            self._attempts.clear()
        answer.labels = self._labels.setdefault(answer.labels, answer.labels)
        attempt = answer.attempt
        if attempt is None or attempt.name is None:
            return
        outcome = attempt.outcome
        service = outcome.service and outcome.service.id
        key = attempt.dns_type, attempt.verdict, attempt.exposed, type(outcome), outcome.segment, service
        known = self._attempts.get(key)
        if known is None or known.outcome != outcome:  # these differ by the rule, seldom within a segment
            known = self._attempts[key] = replace(attempt, name=None)
        answer.attempt = known

    def _make_room(self) -> None:
        largest = max(self._tables.values(), key=len)
        for key in list(islice(largest, len(largest) // 8 + 1)):
            del largest[key]
        self._count = sum(map(len, self._tables.values()))

    def _let_go(self) -> None:
        table = self._old[-1]
        for _ in range(min(len(table), _LET_GO)):
            table.popitem()
        if not table:
            self._old.pop()

    def _forget_others(self, policy: Policy) -> None:
        if self._old:
            self._let_go()
        if policy is not self._policy:
            self._old += self._tables.values()
            self._tables, self._udp, self._streams, self._count = {}, {}, {}, 0
            self._labels, self._attempts = {}, {}
            self._policy, self._by_client = policy, _segments_that_name_clients(policy)


def find(table: Table, wire: bytes, at: datetime) -> Answer | None:
    """The answer to these octets, if it still holds at this instant."""
    answer = table.get(wire[2:])
    return answer if answer is not None and answer.lives(at.timestamp()) else None


def _segments_that_name_clients(policy: Policy) -> frozenset[str]:
    return frozenset(
        segment for segment, rules in policy.rules.items() if any(r.rule.when.clients is not None for r in rules)
    )
