"""Segments, as the file says them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sumun.config import values
from sumun.config.forms import Line, Network, Port, Raw, Some, Words, read
from sumun.config.raw_next_proxy import RawNextProxy
from sumun.config.raw_rule import RawRule
from sumun.config.settings import Upstream
from sumun.config.upstreams import upstream
from sumun.model.segment import Authenticate, DnsAnswer, FailMode, Handling
from sumun.model.text import Text


def _null_answer(value: object) -> object:
    """The word ``null`` is nothing in YAML, and an answer here."""
    return DnsAnswer.NULL if value is None else value


class RawDnsPolicy(Raw):
    """The sinkhole's side of a segment."""

    answer: Annotated[
        DnsAnswer, Field(strict=False), BeforeValidator(_null_answer, json_schema_input_type=DnsAnswer | None)
    ] = Field(default=DnsAnswer.SINKHOLE, description="How a blocked name is answered.")
    ttl: int = Field(default=30, ge=0, le=86_400, description="Seconds a client may keep such an answer.")
    ede: Literal[15, 16, 17, 18] = Field(
        default=15, description="Extended DNS error of a block: 15 blocked, 16 censored, 17 filtered, 18 prohibited."
    )
    structured_errors: Literal["draft-09"] | None = Field(
        default=None, description="Version of draft-ietf-dnsop-structured-dns-error spoken to clients that ask for it."
    )
    upstreams: list[Annotated[Upstream, read(upstream)]] = Field(
        default=[], description="Resolvers of this segment's own, in place of the general ones; needs a restart."
    )
    steer: bool = Field(default=True, description="Bring names that need a page or an inspection to the proxy.")


def _handling(text: str) -> Any:
    return Field(default=Handling.REFUSE, description=text)


type HowTo = Annotated[Handling, Field(strict=False)]


class RawProxyPolicy(Raw):
    """The proxy's side of a segment: what is refused because it could hide something."""

    connect_ports: Some[Port] = Field(default=[443], description="Ports that a CONNECT may lead to.")
    no_server_name: HowTo = _handling("TLS without a server name.")
    address_literals: HowTo = _handling("TLS to an address that no server name explains.")
    encrypted_client_hello: HowTo = _handling("TLS that shows only the outer name of an encrypted ClientHello.")
    other_protocols: HowTo = _handling("What is neither TLS nor HTTP, such as SSH.")
    dns_over_https: HowTo = _handling("DNS over HTTPS, where the request is seen.")
    upstream_proxy: Literal["direct"] | RawNextProxy | None = Field(
        default=None, description="Another next proxy than the whole file's; `direct`: none."
    )
    authenticate: Annotated[Authenticate, Field(strict=False)] = Field(
        default=Authenticate.NONE, description="Whether users have to say who they are; optional: where a rule asks."
    )


class RawAccent(Raw):
    """A colour on the pages, on light and on dark ground; each must be readable there."""

    light: Annotated[str, read(values.colour)]
    dark: Annotated[str, read(values.colour)]


class RawSegment(Raw):
    """A named set of client networks; the longest prefix decides which segment a client is in."""

    title: Words = Text()
    notice: Words = Field(default=Text(), description="Shown on every page of this segment.")
    contact: Annotated[str, read(values.contact)] = Field(
        default="", description="Whom its users ask; without it the organisation's contact."
    )
    accent: RawAccent | None = Field(default=None, description="Without it the organisation's colour.")
    logo: Line = Field(default="", description="PNG or SVG file; without it the organisation's.")
    networks: list[Network] = Field(default=[])
    on_failure: Annotated[FailMode, Field(strict=False)] = Field(
        default=FailMode.CLOSED, description="What happens to a request when the filter itself fails."
    )
    dns: RawDnsPolicy = RawDnsPolicy()
    proxy: RawProxyPolicy = RawProxyPolicy()
    rules: list[RawRule] = Field(default=[], description="The first that matches settles it.")
    default: Literal["allow", "monitor", "warn", "justify", "block"] = Field(
        default="allow", description="Where no rule does."
    )
