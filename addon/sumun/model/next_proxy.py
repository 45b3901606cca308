"""Another proxy behind ours, through which a segment reaches the internet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from sumun.model.name import DomainName, IPAddress


class TellClient(StrEnum):
    """How the next proxy learns whose connection it is."""

    NOTHING = "nothing"
    FORWARDED_FOR = "x-forwarded-for"
    PROXY_PROTOCOL = "proxy-protocol"


@dataclass(frozen=True, slots=True)
class NextProxy:
    """Spoken to in HTTP; it, and not we, finds the addresses of names."""

    host: DomainName | IPAddress
    port: int
    credentials: Path | None = None
    """File with one line, ``user:password``."""
    direct: tuple[DomainName | IPv4Network | IPv6Network, ...] = ()
    """Names, with all below them, and networks that are reached without it."""
    tell_client: TellClient = TellClient.NOTHING
    timeout: float = 30
    """Seconds it has to open a tunnel: it may try several addresses."""

    def leads_to(self, host: DomainName | IPAddress) -> bool:
        """Whether a destination is reached through it."""
        if isinstance(host, DomainName):
            suffixes = set(host.suffixes())
            return not any(isinstance(entry, DomainName) and entry.text in suffixes for entry in self.direct)
        return not any(not isinstance(entry, DomainName) and host in entry for entry in self.direct)
