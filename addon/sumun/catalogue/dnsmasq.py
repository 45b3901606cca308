"""Options of dnsmasq that send names nowhere; each covers the name and everything below it.

``address=/example.com/0.0.0.0``, ``address=/example.com/``, ``server=/example.com/``, ``local=/example.com/``, and
``server=/www.example.com/#``, which resolves a name as ever: an exception. The most specific name wins (dnsmasq(8)).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sumun.catalogue.line import NotAnEntry, Wanted, covering, literal_address
from sumun.model.listed import Hold

_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
"""Inside a word the sign means something else: ``address=/example.com/#`` gives the null address."""


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    text = _COMMENT.sub("", line).strip()
    if not text:
        return
    option, _, value = text.partition("=")
    names = value.strip().split("/")
    if option.strip() not in ("address", "server", "local") or len(names) < 3 or names[0]:
        raise NotAnEntry("no option that sends a name nowhere")
    if any(name.startswith("*") for name in names):
        raise NotAnEntry("an asterisk: in dnsmasq it leaves out the name itself, which an entry cannot")
    if option.strip() != "address" and names[-1] == "#":
        yield from (covering(name, Hold.SPARED) for name in names[1:-1])
        return
    if not _nowhere(names[-1]):
        raise NotAnEntry(f"`{names[-1]}` is a real address: the line says where to ask, not that the name is blocked")
    yield from map(covering, names[1:-1])


def _nowhere(target: str) -> bool:
    address = literal_address(target)
    return target in ("", "#") or (address is not None and (address.is_unspecified or address.is_loopback))
