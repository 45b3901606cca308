"""The format of ``/etc/hosts``: an address and the names it is given; each stands for itself alone.

    0.0.0.0 example.com www.example.com   # comment

Only lines that send names nowhere are entries: one with a real address is somebody's network, not a block.
"""

from __future__ import annotations

from collections.abc import Iterator

from sumun.catalogue.line import NotAnEntry, Wanted, literal_address, only, uncommented


def read(line: str) -> Iterator[Wanted]:
    """What one line asks for; raises NotAnEntry."""
    words = uncommented(line).split()
    if not words:
        return
    address = literal_address(words[0])
    if address is None:
        raise NotAnEntry(f"`{words[0]}` is no address")
    if not (address.is_unspecified or address.is_loopback):
        raise NotAnEntry(f"`{words[0]}` is a real address: the line says where names are, not that they are blocked")
    if len(words) == 1:
        raise NotAnEntry("an address without a name")
    yield from map(only, words[1:])
