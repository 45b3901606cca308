"""Response policy zones in the format of zone files (draft-vixie-dnsop-dns-rpz, section 3; RFC 1035, section 5).

    example.com      CNAME .           ; the name itself does not exist
    *.example.com    CNAME .           ; and nothing below it
    *.example.net    60 IN A 192.0.2.1 ; is answered with something else: also an entry
    www.example.com  CNAME rpz-passthru.   ; is let through: an exception, and the most specific name wins

Names are taken as relative to the zone, which is how zones are published; ``*.`` covers the name itself as well, since
zones hold the two side by side. What goes by address or name server is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sumun.catalogue.line import NotAnEntry, Wanted, covering, only
from sumun.model.listed import Hold

_FRAME: Final = re.compile(r"[\d()]+|[0-9]+[smhdw]", re.IGNORECASE)
"""What is left on the lines of a start of authority: numbers, times, brackets."""
_ACTIONS: Final = frozenset({"CNAME", "A", "AAAA"})
_TRIGGERS: Final = ("rpz-ip", "rpz-client-ip", "rpz-nsip", "rpz-nsdname")


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = line.partition(";")[0]
    words = text.split()
    if not words or words[0].startswith("$") or all(map(_FRAME.fullmatch, words)):
        return
    owner, record = words[0], [word for word in words[1:] if not (_FRAME.fullmatch(word) or word.upper() == "IN")]
    kind = record[0].upper() if record else ""
    if kind in ("SOA", "NS") or owner == "@":
        return
    if text[0].isspace() or kind not in _ACTIONS or len(record) != 2:
        raise NotAnEntry("no record that blocks a name: `name CNAME .` does")
    if owner.rpartition(".")[2] in _TRIGGERS:
        raise NotAnEntry("blocks by address or name server, which a list of names cannot")
    yield (covering if owner.startswith("*.") else only)(owner, _hold(kind, owner, record[1].lower()))


def _hold(kind: str, owner: str, target: str) -> Hold:
    """Older zones let a name through by an alias to itself (section 3.3 of the draft)."""
    passes = target.removesuffix(".") in ("rpz-passthru", owner.lower().removesuffix("."))
    return Hold.SPARED if kind == "CNAME" and passes else Hold.LISTED
