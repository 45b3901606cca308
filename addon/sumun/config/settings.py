"""What is configured beside policy: addresses, upstreams, files. Frozen, checked values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

from sumun.config.user_settings import UserSettings
from sumun.model.name import DomainName, IPAddress
from sumun.model.rule import IPNetwork


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a role listens."""

    address: IPAddress
    port: int
    workers: int = 1
    """Processes that share the port."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Where a certificate and its private key are, both as PEM; the certificate with its chain."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class DnsOverTls:
    """Where the sinkhole listens for DNS over TLS."""

    port: int
    keys: KeyPair


@dataclass(frozen=True, slots=True)
class DnsOverHttps(DnsOverTls):
    """Where the sinkhole listens for DNS over HTTPS."""

    path: str


@dataclass(frozen=True, slots=True)
class ClientSubnet:
    """The shortest prefixes that tell one client from others (RFC 7871)."""

    ipv4: int = 32
    ipv6: int = 128


@dataclass(frozen=True, slots=True)
class DnsListener(Listener):
    """Where the sinkhole listens: UDP and TCP on the port, and more on ports of their own."""

    tls: DnsOverTls | None = None
    https: DnsOverHttps | None = None
    trusted: tuple[IPNetwork, ...] = ()
    """Forwarders and balancers that are believed when they tell whose query it is."""
    client_subnet: ClientSubnet = ClientSubnet()


@dataclass(frozen=True, slots=True)
class PagesListener:
    """Where sinkholed and steered clients arrive; the addresses are what the sinkhole answers with."""

    address: IPAddress
    address6: IPAddress | None
    """None: AAAA of a sinkholed name gives NODATA."""
    http: int
    https: int
    categories: tuple[tuple[str, tuple[IPAddress, ...]], ...] = ()
    """Addresses that services of a category are answered with instead."""
    further: tuple[IPAddress, ...] = ()
    """All addresses beside the first two that somebody may be sent to, by a category or by a rule."""

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """Those that everything is answered with for which nothing else is said."""
        return (self.address,) if self.address6 is None else (self.address, self.address6)


class Leading(StrEnum):
    """How the firewall leads connections to the proxy."""

    REDIRECT = "redirect"
    TPROXY = "tproxy"


@dataclass(frozen=True, slots=True)
class TransparentListener:
    """Where connections arrive that clients meant for somebody else."""

    address: IPAddress
    port: int
    leading: Leading = Leading.REDIRECT


@dataclass(frozen=True, slots=True)
class TlsListener:
    """The proxy over TLS: its own certificate, and who signs those of clients."""

    address: IPAddress
    port: int
    certificate: Path
    key: Path
    client_ca: Path | None = None
    """None: clients need no certificate, and one of theirs says nothing."""


@dataclass(frozen=True, slots=True)
class Listen:
    """All listeners of a host."""

    dns: DnsListener
    proxy: Listener
    pages: PagesListener
    console: Listener
    transparent: TransparentListener | None = None
    proxy_tls: TlsListener | None = None


class Transport(StrEnum):
    """How an upstream resolver is reached."""

    SYSTEM = "system"
    UDP = "udp"
    TLS = "tls"
    HTTPS = "https"


@dataclass(frozen=True, slots=True)
class Upstream:
    """One resolver to forward to."""

    text: str
    """As the administrator wrote it; also the metric label."""
    transport: Transport
    host: str = ""
    """Address, or for ``https`` the host name."""
    port: int = 53
    tls_name: str = ""
    """Name to verify the certificate against (``tls``, ``https``)."""
    path: str = ""
    """Path of the query end point (``https``)."""


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How odd a new version of a list may be, in percent; beyond that it is not taken."""

    refused: int = 20
    """Lines refused, of all that ask for something."""
    shrink: int = 50
    """Entries fewer than in the version at hand."""
    growth: int = 100
    """Entries more than in the version at hand."""


@dataclass(frozen=True, slots=True)
class ListSource:
    """A list of domains, subscribed or local."""

    id: str
    format: str
    path: Path | None = None
    url: str = ""
    refresh: timedelta = timedelta(hours=24)
    sha256: str = ""
    public_key: str = ""
    """Key that each version must be signed with: minisign's, or a bare Ed25519 key; both in base64."""
    signature: str = ""
    """Where the signature is; empty: beside the list, with the suffix ``.minisig``."""
    tolerance: Tolerance = Tolerance()
    guard: bool = True
    """Whether names that others need are refused; lists of names to allow do without."""

    @property
    def signature_url(self) -> str:
        """Where the signature is."""
        return self.signature or f"{self.url}.minisig"


@dataclass(frozen=True, slots=True)
class Resolving:
    """How the sinkhole finds answers beside what its upstreams say."""

    local: tuple[tuple[DomainName, tuple[IPAddress, ...]], ...] = ()
    """Names that the sinkhole answers itself where policy lets them pass."""
    domains: tuple[tuple[DomainName, tuple[Upstream, ...]], ...] = ()
    """Resolvers for these names and all below them; the longest wins."""
    segments: tuple[tuple[str, tuple[Upstream, ...]], ...] = ()
    """Resolvers of segments that have their own."""
    mixed_case: bool = False
    """Ask in a spelling that a forger would have to guess."""
    private_answers: bool = True
    """False: no private address in an answer for a public name (DNS rebinding)."""
    private_domains: tuple[DomainName, ...] = ()
    """Names that may have private addresses all the same, with all below them; those of ``domains`` are among them."""
    rate_limit: int | None = None
    """Queries over UDP a second for each /24 or /56; None: no limit."""
    unlimited: tuple[IPNetwork, ...] = ()
    """Clients that the limit is not for: forwarders of whole sites."""


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """What the proxy spends on clients at most."""

    connections: int = 8192
    """Connections of one client at a time."""
    handshakes: int = 1024
    """Of these, such as have not said yet where they want to go."""
    opening: timedelta = timedelta(seconds=15)
    """Time a client has for each thing that it must say first."""
    head: int = 65_536
    """Octets of an HTTP/1 request head."""
    memory: int = 1024
    """MiB that a process may have before another takes its place."""
    drain: timedelta = timedelta(seconds=30)
    """Time that running connections have to end at a stop."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything of the configuration that is not policy."""

    listen: Listen
    upstreams: tuple[Upstream, ...]
    state: Path
    """Folder of the store, certificates, events and the last known good policy."""
    upstream_ca: Path | None = None
    """Roots that origins are verified against; None: the system's."""
    internal_destinations: tuple[IPNetwork, ...] = ()
    """Private or loopback ranges that the proxy may dial all the same."""
    trusted_parents: tuple[IPNetwork, ...] = ()
    """Proxies and balancers that are believed when they tell whose connection it is."""
    proxy_limits: ProxyLimits = ProxyLimits()
    lists: tuple[ListSource, ...] = field(default_factory=tuple)
    resolving: Resolving = Resolving()
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """For dates and hours without a zone of their own."""
    store: str = ""
    """URL of the store of grants; empty: SQLite in the state folder."""
    download_proxy: str | None = None
    """HTTP proxy that lists are fetched through; None: as the environment says; empty: none."""
    users: UserSettings | None = None
    """How the proxy learns who its users are; None: nobody is asked."""
