"""What upstreams said, for as long as they said it holds. Pure: the time is an argument, in seconds.

It knows nothing of clients: the policy is asked before it, and speaks of what comes out of it, every time.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from dns.rcode import Rcode
from dns.rdatatype import RdataType

from sumun.upstream.message import HEADER, TC, MalformedMessage, flags_of, question_end, records

MAX_OCTETS = 32 * 1024 * 1024
_OVERHEAD = 600
"""Octets that an entry takes beside the message."""
_MAX_TTL, _MAX_NEGATIVE_TTL = 86_400, 3_600
"""Seconds; a day (RFC 8767, section 4, allows a week) and one hour (RFC 2308, section 5, advises one to three)."""
_MAX_STALE = 86_400
"""Seconds past its time for which an answer may be given when nobody answers (RFC 8767, section 5: a day or more)."""
STALE_TTL = 30
"""Seconds (RFC 8767, section 4)."""
_FAILURE, _MAX_FAILURE = 1.0, 60.0
"""Seconds for which a failure is remembered, at first and after many in a row (RFC 9520, section 3.2: 1 to 300)."""
_PREFETCH_FROM, _PREFETCH_PART = 10, 0.1
"""Answers of this many seconds or more are asked for again within the last tenth of their time."""
_REMEMBERED: Final = frozenset({Rcode.NOERROR, Rcode.NXDOMAIN})


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer from memory, with its times to live counted down; its id means nothing."""

    reply: bytes
    fresh: bool
    """False: its time is over, and it is for when nobody answers."""
    until: float
    """Before this it may be given again without looking here."""
    ask_again: bool
    """It will be over soon, and is in demand."""


@dataclass(frozen=True, slots=True)
class _Entry:
    reply: bytes
    at: float
    lifetime: int
    ttls: tuple[tuple[int, int], ...]
    """Offsets and values of all times to live."""

    def aged(self, now: float) -> bytes:
        """The message, each time to live less what has passed, or 30 s where nothing is left."""
        passed, out = int(now - self.at), bytearray(self.reply)
        stale = passed >= self.lifetime
        for offset, ttl in self.ttls:
            struct.pack_into("!I", out, offset, STALE_TTL if stale else min(ttl, _MAX_TTL) - passed)
        return bytes(out)


@dataclass(slots=True)
class Cache:
    """Bounded in octets; where there is no room the oldest go.

    INVARIANT: the key is the whole question as an upstream gets it but for its id and its spelling, so what was said
    with DNSSEC or with CD set is never given without.
    """

    max_octets: int = MAX_OCTETS
    _entries: dict[bytes, _Entry] = field(default_factory=dict)
    _failures: dict[bytes, tuple[float, float]] = field(default_factory=dict)
    """Until when, and for how many seconds, no upstream need be asked again."""
    _octets: int = 0

    def find(self, key: bytes, now: float) -> Hit | None:
        """What is known, fresh or stale; None: nothing."""
        entry = self._entries.get(key)
        if entry is None or not 0 <= now - entry.at < entry.lifetime + _MAX_STALE:
            return None
        end = entry.at + entry.lifetime
        if now >= end:
            return Hit(entry.aged(now), fresh=False, until=now, ask_again=False)
        soon = end - entry.lifetime * _PREFETCH_PART if entry.lifetime >= _PREFETCH_FROM else end
        until = soon if now < soon else min(end, now + 1)
        return Hit(entry.aged(now), fresh=True, until=until, ask_again=soon <= now < end)

    def keep(self, key: bytes, reply: bytes, now: float) -> None:
        """Remember a reply, if it says for how long it holds."""
        self._failures.pop(key, None)
        try:
            found = _entry(reply, now)
        except MalformedMessage:
            return
        if found is None:
            return
        self._forget(key)
        self._entries[key] = found
        self._octets += len(key) + len(reply) + _OVERHEAD
        if self._octets > self.max_octets:
            for oldest in list(islice(self._entries, len(self._entries) // 8 + 1)):
                self._forget(oldest)

    def fail(self, key: bytes, now: float) -> None:
        """Remember that nobody had an answer, for longer each time in a row."""
        seconds = min(2 * self._failures[key][1], _MAX_FAILURE) if key in self._failures else _FAILURE
        self._failures[key] = now + seconds, seconds
        if len(self._failures) * _OVERHEAD > self.max_octets // 8:
            for oldest in list(islice(self._failures, len(self._failures) // 8 + 1)):
                del self._failures[oldest]

    def failed(self, key: bytes, now: float) -> bool:
        """Whether asking just now was in vain."""
        until, seconds = self._failures.get(key, (now, 0.0))
        return until - seconds <= now < until

    def _forget(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._octets -= len(key) + len(entry.reply) + _OVERHEAD


def key_of(query: bytes) -> bytes:
    """The key of a question that goes to an upstream; raises MalformedMessage."""
    end = question_end(query)
    return query[2:HEADER] + query[HEADER : end - 4].lower() + query[end - 4 :]


def is_failure(reply: bytes) -> bool:
    """Whether the reply says that there is none."""
    return flags_of(reply) & 0xF in (Rcode.SERVFAIL, Rcode.REFUSED)


def times_to_live(wire: bytes) -> tuple[tuple[int, int], ...]:
    """Offsets and values of all times to live in a message; raises MalformedMessage."""
    places = (record.fields + 4 for record in records(wire) if record.type != RdataType.OPT)
    return tuple((place, int.from_bytes(wire[place : place + 4])) for place in places)


def _entry(reply: bytes, now: float) -> _Entry | None:
    """None: not to be remembered (RFC 2308, sections 2.2 and 5: a negative answer without SOA has no time)."""
    rcode, found = flags_of(reply) & 0xF, list(records(reply))
    if rcode not in _REMEMBERED or flags_of(reply) & TC:
        return None
    ttls = times_to_live(reply)
    positive = rcode == Rcode.NOERROR and any(record.section == 1 for record in found)
    longest = _MAX_TTL
    if not positive or _leads_to_nothing(reply):
        soas = [record for record in found if record.section == 2 and record.type == RdataType.SOA]
        if not soas and not positive:
            return None
        minimums = (int.from_bytes(reply[soa.end - 4 : soa.end]) for soa in soas)
        longest = min(_MAX_NEGATIVE_TTL, *minimums, _MAX_NEGATIVE_TTL)
    lifetime = min((ttl if ttl < 1 << 31 else 0 for _, ttl in ttls), default=0)  # RFC 2181, section 8
    lifetime = min(lifetime, longest)
    return _Entry(reply, now, lifetime, ttls) if lifetime else None


def _leads_to_nothing(reply: bytes) -> bool:
    """Whether the answer is a chain of aliases without what was asked for."""
    asked = int.from_bytes(reply[question_end(reply) - 4 : question_end(reply) - 2])
    answers = {record.type for record in records(reply) if record.section == 1}
    return asked not in answers and asked != RdataType.ANY and answers <= {RdataType.CNAME, RdataType.DNAME}
