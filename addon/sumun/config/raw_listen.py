"""Where this host listens, whom it asks and what it may dial, as the file says it."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Address
from typing import Annotated

from pydantic import Field

from sumun.config import values
from sumun.config.forms import (
    Address,
    Address4,
    Address6,
    Line,
    Name,
    Network,
    Patience,
    Port,
    Raw,
    Some,
    Workers,
    read,
)
from sumun.config.settings import Leading, Upstream
from sumun.config.upstreams import upstream


class RawDnsOverTls(Raw):
    """DNS over TLS."""

    port: Port = 853
    certificate: Line = Field(description="PEM file with the certificate and its chain.")
    key: Line = Field(description="PEM file with its private key, which nobody else may read.")


class RawDnsOverHttps(RawDnsOverTls):
    """DNS over HTTPS."""

    port: Port = 443
    path: Annotated[str, read(values.url_path)] = Field(
        default="/dns-query", description="Path that clients ask, as in https://dns.example/dns-query."
    )


class RawClientSubnet(Raw):
    """Shortest prefixes that tell one client from others."""

    ipv4: int = Field(default=32, ge=8, le=32)
    ipv6: int = Field(default=128, ge=16, le=128)


class RawDnsListener(Raw):
    """The sinkhole, over UDP and TCP, and where it has a certificate over TLS and HTTPS."""

    address: Address = IPv4Address("127.0.0.1")
    port: Port = 8053
    workers: Workers = Field(default=1, description="Processes that share the port.")
    tls: RawDnsOverTls | None = Field(default=None, description="DNS over TLS; without it there is no such listener.")
    https: RawDnsOverHttps | None = Field(
        default=None, description="DNS over HTTPS; without it there is no such listener."
    )
    trusted: list[Network] = Field(
        default=[],
        description="Forwarders whose PROXY header, X-Forwarded-For or client subnet tells the client's address.",
    )
    client_subnet: RawClientSubnet = RawClientSubnet()


class RawProxyLimits(Raw):
    """What the proxy spends on clients at most."""

    connections: int = Field(default=8192, ge=1, le=65_535, description="Connections of one client at a time.")
    handshakes: int = Field(
        default=1024, ge=1, le=65_535, description="Of these, such as have not said yet where they want to go."
    )
    opening: Patience = Field(
        default=timedelta(seconds=15), description="Time a client has for each thing that it must say first."
    )
    head: int = Field(default=65_536, ge=4096, le=1_048_576, description="Octets of an HTTP/1 request head.")
    memory: int = Field(
        default=1024, ge=192, le=1_048_576, description="MiB that a process may have before another takes its place."
    )


class RawTlsListener(Raw):
    """The proxy once more, with TLS between client and proxy; on the same address."""

    port: Port = 8444
    certificate: Line = Field(description="PEM file: the proxy's own certificate, with what is above it.")
    key: Line = Field(description="PEM file of its key, readable by this user only.")
    client_ca: Line = Field(default="", description="PEM file: who signs certificates of clients, which name the user.")


class RawProxyListener(Raw):
    """The proxy, for clients that are configured to use it."""

    address: Address = IPv4Address("127.0.0.1")
    port: Port = 8080
    workers: Workers = Field(default=1, description="Processes that share the port.")
    trusted: list[Network] = Field(
        default=[], description="Parents whose PROXY header or X-Forwarded-For tells the client's address."
    )
    drain: Patience = Field(
        default=timedelta(seconds=30), description="Time that running connections have to end at a stop."
    )
    limits: RawProxyLimits = RawProxyLimits()
    tls: RawTlsListener | None = Field(default=None, description="The same with TLS between client and proxy.")


class RawTransparentListener(Raw):
    """Where the firewall leads connections that were meant for somebody else."""

    address: Address = IPv4Address("127.0.0.1")
    port: Port = 8082
    leading: Annotated[Leading, Field(strict=False)] = Field(
        default=Leading.REDIRECT, description="How it does: redirect, or tproxy (needs CAP_NET_ADMIN)."
    )


class RawPagesListener(Raw):
    """Where sinkholed and steered clients arrive; the addresses are the sinkhole's answers."""

    address: Address4 = Field(default=IPv4Address("127.0.0.1"), description="Answer to A of a sinkholed name.")
    address6: Address6 | None = Field(default=None, description="Answer to AAAA; without it AAAA gives NODATA.")
    http: Port = 8081
    https: Port = 8443
    categories: dict[Line, Some[Address]] = Field(
        default={}, description="Addresses that services of a category are answered with instead, one of each family."
    )


class RawConsoleListener(Raw):
    """Console, API and metrics."""

    address: Address = IPv4Address("127.0.0.1")
    port: Port = 8090


class RawListen(Raw):
    """Where this host listens; a change needs a restart."""

    dns: RawDnsListener = RawDnsListener()
    proxy: RawProxyListener = RawProxyListener()
    pages: RawPagesListener = RawPagesListener()
    console: RawConsoleListener = RawConsoleListener()
    transparent: RawTransparentListener | None = Field(
        default=None, description="For nftables redirect or tproxy; without it there is no such listener."
    )


class RawResolver(Raw):
    """How the sinkhole finds answers beside what the upstreams say; a change needs a restart."""

    local: dict[Name, Some[Address]] = Field(default={}, description="Names answered here, with their addresses.")
    domains: dict[Name, Some[Annotated[Upstream, read(upstream)]]] = Field(
        default={}, description="Resolvers for a name and all below it, such as an internal zone."
    )
    mixed_case: bool = Field(
        default=False, description="true: ask upstreams over UDP in a spelling that a forger would have to guess."
    )
    private_answers: bool = Field(
        default=True, description="false: no private address for a public name (DNS rebinding)."
    )
    private_domains: list[Name] = Field(
        default=[], description="Names that may have private addresses all the same, with all below them."
    )
    rate_limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="Queries over UDP a second for each /24 or /56; without it no limit."
    )
    unlimited: list[Network] = Field(default=[], description="Clients without that limit: forwarders of whole sites.")


class RawDestinations(Raw):
    """What the proxy may dial."""

    internal: list[Network] = Field(default=[], description="Private or loopback ranges it may dial all the same.")
