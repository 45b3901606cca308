"""One request may name several destinations: a CONNECT host, a server name, a Host. The strictest answer holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sumun.model.decision import Outcome, Undetermined
from sumun.model.name import DomainName, IPAddress
from sumun.model.request import AccessRequest, Unknown
from sumun.model.segment import Handling, ProxyPolicy
from sumun.model.user import Identity
from sumun.model.verdict import Verdict
from sumun.policy.copies import copied_by_name
from sumun.policy.engine import Policy
from sumun.policy.verdicts import gate_verdict, strictness
from sumun.proxy.destination import Destination

SNI_MISMATCH = "sni_mismatch"
"""Bypass: the server name is not the host of the CONNECT."""
NO_SERVER_NAME = "no_server_name"
"""Bypass: TLS without a server name where nothing else tells the destination."""
UNKNOWN_PROTOCOL = "unknown_protocol"
"""Bypass: neither TLS nor HTTP."""
ADDRESS_LITERAL = "address_literal"
"""Bypass: TLS to an address, without a server name that tells whose it is."""
ADDRESS_MISMATCH = "address_mismatch"
"""Bypass: the server name does not resolve to the address that the client dialled; it is led to where the name does."""
ENCRYPTED_HELLO = "encrypted_client_hello"
"""Bypass: the server name is the outer one of an encrypted ClientHello (RFC 9849), and says nothing."""
CONNECT_PORT = "connect_port"
"""Bypass: a CONNECT to a port that the segment does not allow."""
SMUGGLING = "smuggling"
"""Bypass: a request whose end, or whose fields, two servers would read differently."""
TLS_IN_TLS = "tls_in_tls"
"""Bypass: a second TLS connection inside one that is decrypted."""
_OUTER_NAMES = frozenset({DomainName("cloudflare-ech.com")})
"""Public names of operators that hide all their customers behind one."""

_STRICT = ProxyPolicy()


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was asked, in the reading that was answered most strictly, and the answer."""

    request: AccessRequest
    outcome: Outcome
    is_logged: bool = field(init=False, compare=False)
    """Whether an event is due: only for what concerns generative AI."""

    def __post_init__(self) -> None:
        logged = isinstance(self.outcome, Undetermined) or self.outcome.concerns_ai
        object.__setattr__(self, "is_logged", logged)


@dataclass(frozen=True, slots=True)
class GateRuling:
    """What the gate does with a connection."""

    ruling: Ruling
    verdict: Verdict
    bypass: str | None = None
    """Technique, where it looks like an attempt to get round the filter."""
    failure: bool = False
    """Nothing could be decided; the verdict is the segment's ``on_failure``."""
    how: ProxyPolicy = _STRICT
    """How the client's segment wants doubtful connections handled; strictly, where nobody can tell."""


def strictest(rulings: Iterable[Ruling]) -> Ruling:
    """The ruling that holds; of equals the first."""
    return max(rulings, key=lambda ruling: strictness(ruling.outcome))


def decide_all(policy: Policy, requests: Iterable[AccessRequest], *, at: datetime) -> Ruling:
    """Decide on every reading of one request (at least one)."""
    return strictest(Ruling(request, policy.decide(request, at=at)) for request in requests)


def gate_ruling(
    policy: Policy,
    client: IPAddress,
    destination: Destination | None,
    server_name: DomainName | IPAddress | None = None,
    who: Identity | Unknown | None = None,
    *,
    at: datetime,
) -> GateRuling:
    """Decide on a connection: the host of its CONNECT, if it made one, the server name, if it is known, and the user.

    Nobody can be asked later who the user is, so without one there is none.
    """
    port = destination.port if destination else 443
    stated = (destination.host if destination else None, server_name)
    hosts = list(dict.fromkeys(host for host in stated if host is not None))
    ruling = decide_all(policy, _requests(client, hosts, port, who), at=at)
    segment = policy.segment_of(client)
    how = segment.proxy if segment else _STRICT
    verdict, bypass = gate_verdict(ruling.outcome), None
    if verdict is not Verdict.REFUSED:
        if _contradict(destination, server_name):
            verdict, bypass = Verdict.REFUSED, ENCRYPTED_HELLO if server_name in _OUTER_NAMES else SNI_MISMATCH
        elif not hosts:
            verdict, bypass = Verdict.CLOSED, NO_SERVER_NAME
    return GateRuling(ruling, verdict, bypass, how=how)


def objection(
    how: ProxyPolicy, destination: Destination | None, server_name: DomainName | IPAddress | None
) -> str | None:
    """Why TLS that policy would let pass unseen is refused all the same; None: it is not."""
    if server_name in _OUTER_NAMES:
        return ENCRYPTED_HELLO if how.encrypted_client_hello is Handling.REFUSE else None
    if isinstance(server_name, DomainName):
        return None
    if destination is not None and destination.name is None:
        return ADDRESS_LITERAL if how.address_literals is Handling.REFUSE else None
    return NO_SERVER_NAME if how.no_server_name is Handling.REFUSE else None


def _requests(
    client: IPAddress, hosts: list[DomainName | IPAddress], port: int, who: Identity | Unknown | None
) -> list[AccessRequest]:
    user, groups = (who.name, who.groups) if isinstance(who, Identity) else (who, frozenset[str]())
    address = next((host for host in hosts if not isinstance(host, DomainName)), None)
    copied = [copied_by_name(host) for host in hosts]
    names: list[DomainName | None] = [host for host in (*hosts, *copied) if isinstance(host, DomainName)]
    return [AccessRequest(client, name, address, port, user=user, groups=groups) for name in names or [None]]


def _contradict(destination: Destination | None, server_name: DomainName | IPAddress | None) -> bool:
    """A name for an address literal is more knowledge; another name, or another address, is a contradiction."""
    if destination is None or server_name is None:
        return False
    if destination.address is not None and isinstance(server_name, DomainName):
        return False
    return destination.host != server_name
