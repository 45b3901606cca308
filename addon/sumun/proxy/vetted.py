"""An address for mitmproxy to dial that still is the name to everybody else."""

from __future__ import annotations

from sumun.model.name import IPAddress


class VettedAddress(tuple[str, int]):
    """Holds (address, port) to connect to, and compares as (host, port).

    mitmproxy finds a connection to use again by comparing its address with the request's host, and dials what the
    tuple holds. Putting the plain address into a connection would open a new one for every request; leaving the name
    would have it resolved by the system, after it was vetted.
    """

    named: tuple[str, int]

    @classmethod
    def of(cls, address: IPAddress, named: tuple[str, int]) -> VettedAddress:
        """Dial ``address`` for what is called ``named``, a host and a port."""
        made = cls((str(address), named[1]))
        made.named = named
        return made

    def __eq__(self, other: object) -> bool:
        return (other.named if isinstance(other, VettedAddress) else other) == self.named

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.named)
