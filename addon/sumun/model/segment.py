"""A named set of client networks and how it is served."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from sumun.model.colour import Accent
from sumun.model.logo import Logo
from sumun.model.next_proxy import NextProxy
from sumun.model.rule import Action, IPNetwork, Rule
from sumun.model.text import Text

UNKNOWN_SEGMENT = "unknown"
"""Stands where a client is in no segment: in metrics, events and decisions. No segment may take this name."""


class FailMode(StrEnum):
    """What happens to a request when Sumun itself fails."""

    CLOSED = "closed"
    OPEN = "open"


class DnsAnswer(StrEnum):
    """How the sinkhole answers a name that is blocked."""

    SINKHOLE = "sinkhole"
    NULL = "null"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class StructuredErrors:
    """What clients that ask for it are told in a form that software reads."""

    contact: str
    """URI of whoever can help."""
    organisation: str = ""


@dataclass(frozen=True, slots=True)
class DnsPolicy:
    """The sinkhole's side of a segment."""

    answer: DnsAnswer = DnsAnswer.SINKHOLE
    ttl: int = 30
    """Seconds that a client may keep an answer of ours."""
    steer: bool = True
    """Answer names that need a page or an inspection with the proxy's own address."""
    ede: int = 15
    """Extended DNS error that a block is explained with (RFC 8914)."""
    structured_errors: StructuredErrors | None = None
    """None: errors are text for people."""


class Handling(StrEnum):
    """What the proxy does with a connection that it cannot see clearly."""

    REFUSE = "refuse"
    ALLOW = "allow"


class Authenticate(StrEnum):
    """Whether the proxy asks clients who their user is."""

    NONE = "none"
    OPTIONAL = "optional"
    """Only where a rule depends on it; who says so unasked is believed if it is true."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class ProxyPolicy:
    """The proxy's side of a segment; every default is the strict one.

    What the configuration names under ``destinations.internal`` may be reached by address and on any port.
    """

    connect_ports: frozenset[int] = frozenset({443})
    """Ports that a CONNECT may lead to."""
    no_server_name: Handling = Handling.REFUSE
    """TLS without a server name."""
    address_literals: Handling = Handling.REFUSE
    """TLS to an address, where no server name tells whose it is."""
    encrypted_client_hello: Handling = Handling.REFUSE
    """TLS whose server name is only the outer one of an encrypted ClientHello."""
    other_protocols: Handling = Handling.REFUSE
    """What is neither TLS nor HTTP, such as SSH."""
    dns_over_https: Handling = Handling.REFUSE
    """Questions to a resolver, where the request is seen: in plain HTTP, and where the host is decrypted."""
    authenticate: Authenticate = Authenticate.NONE
    """Of clients that are configured to use the proxy; nobody else can be asked."""
    next_proxy: NextProxy | None = None
    """Through which destinations are reached; None: directly."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Clients that share rules; the longest prefix decides which segment a client is in."""

    name: str
    networks: tuple[IPNetwork, ...]
    rules: tuple[Rule, ...] = ()
    default: Action = Action.ALLOW
    on_failure: FailMode = FailMode.CLOSED
    title: Text = field(default_factory=Text)
    notice: Text = field(default_factory=Text)
    """Shown on every page of this segment."""
    contact: str = ""
    """Whom its users ask; empty: the organisation's contact."""
    accent: Accent | None = None
    """Colour of its pages; None: the organisation's."""
    logo: Logo | None = None
    """None: the organisation's."""
    dns: DnsPolicy = field(default_factory=DnsPolicy)
    proxy: ProxyPolicy = field(default_factory=ProxyPolicy)
