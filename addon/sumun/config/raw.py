"""The configuration as the file says it: every key, its form and its default.

Values are read here one by one (``values``, ``moments``, ``upstreams``); what they mean together is ``parse``. The
descriptions are what an editor shows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
    model_validator,
)

from sumun.config import moments, values
from sumun.config.fault import Unreadable, not_a, quoted
from sumun.config.settings import Leading, Upstream
from sumun.config.upstreams import SYSTEM, upstream
from sumun.model.name import DomainName, IPAddress
from sumun.model.rule import Action, IPNetwork, Mode
from sumun.model.segment import DnsAnswer, FailMode, Handling
from sumun.model.service import Match, Pattern
from sumun.model.text import Text


def _read[T](parse: Callable[[str], T]) -> PlainValidator:
    """Apply a parser to a text; a bare number counts as the text it was written as."""

    def check(value: object) -> T:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise Unreadable(not_a("text", value))
        return parse(value)

    return PlainValidator(check, json_schema_input_type=str)


def _text(value: object) -> Text:
    entries = value if isinstance(value, dict) else {"en": value}
    for tag, message in entries.items():
        if not isinstance(message, str | int) or isinstance(message, bool):
            raise Unreadable(not_a("text", message))
        if not (tag.isascii() and tag.replace("-", "").isalnum() and len(tag) <= 20):
            raise Unreadable(f"{quoted(tag)} is not a language: write `en` or `ko`")
    return Text.of({tag: values.words(str(message)) for tag, message in entries.items()})


_LANGUAGES = {"type": "object", "additionalProperties": {"type": "string"}}

type Id = Annotated[str, _read(values.identifier)]
type Line = Annotated[str, _read(values.line_of_words)]
type Words = Annotated[Text, PlainValidator(_text), WithJsonSchema({"anyOf": [{"type": "string"}, _LANGUAGES]})]
type Name = Annotated[DomainName, _read(values.domain_name)]
type Network = Annotated[IPNetwork, _read(values.network)]
type Address = Annotated[IPAddress, _read(values.address)]
type Address4 = Annotated[IPv4Address, _read(values.address4)]
type Address6 = Annotated[IPv6Address, _read(values.address6)]
type Country = Annotated[str, _read(values.country)]
type Duration = Annotated[timedelta, _read(values.duration)]
type Zone = Annotated[ZoneInfo, _read(moments.zone)]
type Moment = Annotated[moments.Moment, _read(moments.moment)]
type Day = Annotated[date, _read(moments.day)]
type Port = Annotated[int, Field(ge=1, le=65535)]
type Workers = Annotated[int, Field(ge=1, le=64)]
type Some[T] = Annotated[list[T], Field(min_length=1)]
"""A list in a condition: empty it could never hold."""


class _Raw(BaseModel):
    """Strict, so that a text is no number and ``yes`` no truth value; a key with nothing after it is left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key == "answer"}


class RawDnsListener(_Raw):
    """The sinkhole, over UDP and TCP."""

    address: Address = IPv4Address("127.0.0.1")
    port: Port = 8053
    workers: Workers = Field(default=1, description="Processes that share the port.")


class RawProxyListener(_Raw):
    """The proxy, for clients that are configured to use it."""

    address: Address = IPv4Address("127.0.0.1")
    port: Port = 8080
    workers: Workers = Field(default=1, description="Processes that share the port.")
    trusted: list[Network] = Field(
        default=[], description="Parents whose PROXY header or X-Forwarded-For tells the client's address."
    )


class RawTransparentListener(_Raw):
    """Where the firewall leads connections that were meant for somebody else."""

    address: Address = IPv4Address("127.0.0.1")
    port: Port = 8082
    leading: Annotated[Leading, Field(strict=False)] = Field(
        default=Leading.REDIRECT, description="How it does: redirect, or tproxy (needs CAP_NET_ADMIN)."
    )


class RawPagesListener(_Raw):
    """Where sinkholed and steered clients arrive; the addresses are the sinkhole's answers."""

    address: Address4 = Field(default=IPv4Address("127.0.0.1"), description="Answer to A of a sinkholed name.")
    address6: Address6 | None = Field(default=None, description="Answer to AAAA; without it AAAA gives NODATA.")
    http: Port = 8081
    https: Port = 8443


class RawConsoleListener(_Raw):
    """Console, API and metrics."""

    address: Address = IPv4Address("127.0.0.1")
    port: Port = 8090


class RawListen(_Raw):
    """Where this host listens; a change needs a restart."""

    dns: RawDnsListener = RawDnsListener()
    proxy: RawProxyListener = RawProxyListener()
    pages: RawPagesListener = RawPagesListener()
    console: RawConsoleListener = RawConsoleListener()
    transparent: RawTransparentListener | None = Field(
        default=None, description="For nftables redirect or tproxy; without it there is no such listener."
    )


class RawResolver(_Raw):
    """How the sinkhole finds answers beside what the upstreams say; a change needs a restart."""

    local: dict[Name, Some[Address]] = Field(default={}, description="Names answered here, with their addresses.")
    domains: dict[Name, Some[Annotated[Upstream, _read(upstream)]]] = Field(
        default={}, description="Resolvers for a name and all below it, such as an internal zone."
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


class RawDestinations(_Raw):
    """What the proxy may dial."""

    internal: list[Network] = Field(default=[], description="Private or loopback ranges it may dial all the same.")


class RawDomain(_Raw):
    """One name to match, with how."""

    name: Line
    match: Annotated[Match, Field(strict=False)] | None = Field(
        default=None, description="suffix (the name and all below it), exact, or glob within one label."
    )

    @model_validator(mode="after")
    def _readable(self) -> RawDomain:
        values.pattern(self.name, self.match)
        return self


def _form(value: object) -> str:
    return "mapping" if isinstance(value, dict | RawDomain) else "text"


type Domain = Annotated[
    Annotated[Pattern, _read(values.pattern), Tag("text")] | Annotated[RawDomain, Tag("mapping")], Discriminator(_form)
]


def _as_list(value: object) -> object:
    """One entry may stand without its brackets where the plural is no surprise."""
    return [value] if isinstance(value, str) else value


type OneOrMore[T] = Annotated[
    list[T], BeforeValidator(_as_list, json_schema_input_type=str | list[str]), Field(min_length=1)
]


class RawHours(_Raw):
    """Hours of the week, on the wall clock of a zone."""

    days: OneOrMore[Annotated[frozenset[int], _read(moments.days)]] | None = Field(
        default=None, description="`mon-fri`, or a list of days; the day on which an interval begins."
    )
    times: OneOrMore[Annotated[moments.Interval, _read(moments.interval)]] | None = Field(
        default=None, description="`09:00-18:00`, or a list; `22:00-06:00` ends on the next day."
    )
    zone: Zone | None = Field(default=None, description="Such as Asia/Seoul; without it the zone of the whole file.")


type HeaderName = Annotated[str, _read(values.header_name)]
type HeaderValue = Annotated[str, _read(values.header_value)]


class RawRule(_Raw):
    """Conditions, all of which must hold, and an action; the first rule that matches settles it."""

    id: Id = Field(description="Unique within the segment; shown in events and metrics.")
    action: Annotated[Action, Field(strict=False)]
    mode: Annotated[Mode, Field(strict=False)] = Field(
        default=Mode.ENFORCE, description="shadow: evaluated and counted, not enforced."
    )

    services: Some[Line] | None = Field(default=None, description="Ids of the catalogue: `sumun services list`.")
    categories: Some[Line] | None = Field(
        default=None, description='Categories of the catalogue; "*" is every service in it.'
    )
    vendor_countries: Some[Country] | None = Field(
        default=None, description="Country of the vendor or its parent company."
    )
    data_countries: Some[Country] | None = Field(default=None, description="Country where the service keeps user data.")
    domains: Some[Domain] | None = Field(
        default=None, description="Names; each covers all below it unless `match` says else."
    )
    lists: Some[Line] | None = Field(default=None, description="Ids from `lists`.")
    clients: Some[Network] | None = Field(default=None, description="Networks or single addresses.")
    users: Some[Line] | None = None
    models: Some[Line] | None = Field(
        default=None, description="Globs over the name of the model, such as `deepseek*`."
    )
    content: Some[Id] | None = Field(default=None, description="Ids of detectors.")
    uploads: bool | None = Field(default=None, description="true: only requests that upload a file.")

    hours: RawHours | None = None
    from_: Moment | None = Field(
        default=None, alias="from", description="Date or date and time at which the rule begins."
    )
    until: Moment | None = Field(
        default=None, description="A date includes its whole day; a time is the first one after."
    )

    reason: Words = Field(default=Text(), description="Shown to the user: a text, or one for each language.")
    reference: Line = Field(default="", description="Number or title of the order behind the rule.")
    authority: Line = Field(default="", description="Who ordered it.")
    review: Day | None = Field(default=None, description="Date by which somebody looks at the rule again.")
    ttl: Duration | None = Field(
        default=None, description="How long a warning or a justification is remembered; 8h if it is not said."
    )
    approver: Line = Field(default="", description="Who may approve a justification.")
    tenant: dict[HeaderName, HeaderValue] | None = Field(
        default=None, description="Header fields that keep a service to the organisation's own workspace."
    )


def _null_answer(value: object) -> object:
    """The word ``null`` is nothing in YAML, and an answer here."""
    return DnsAnswer.NULL if value is None else value


class RawDnsPolicy(_Raw):
    """The sinkhole's side of a segment."""

    answer: Annotated[
        DnsAnswer, Field(strict=False), BeforeValidator(_null_answer, json_schema_input_type=DnsAnswer | None)
    ] = Field(default=DnsAnswer.SINKHOLE, description="How a blocked name is answered.")
    ttl: int = Field(default=30, ge=0, le=86_400, description="Seconds a client may keep such an answer.")
    steer: bool = Field(default=True, description="Bring names that need a page or an inspection to the proxy.")


def _handling(text: str) -> Any:
    return Field(default=Handling.REFUSE, description=text)


type HowTo = Annotated[Handling, Field(strict=False)]


class RawProxyPolicy(_Raw):
    """The proxy's side of a segment: what is refused because it could hide something."""

    connect_ports: Some[Port] = Field(default=[443], description="Ports that a CONNECT may lead to.")
    no_server_name: HowTo = _handling("TLS without a server name.")
    address_literals: HowTo = _handling("TLS to an address that no server name explains.")
    encrypted_client_hello: HowTo = _handling("TLS that shows only the outer name of an encrypted ClientHello.")
    other_protocols: HowTo = _handling("What is neither TLS nor HTTP, such as SSH.")


class RawSegment(_Raw):
    """A named set of client networks; the longest prefix decides which segment a client is in."""

    title: Words = Text()
    notice: Words = Field(default=Text(), description="Shown on every page of this segment.")
    contact: Annotated[str, _read(values.contact)] = Field(
        default="", description="Whom its users ask; without it the organisation's contact."
    )
    networks: list[Network] = []
    on_failure: Annotated[FailMode, Field(strict=False)] = Field(
        default=FailMode.CLOSED, description="What happens to a request when the filter itself fails."
    )
    dns: RawDnsPolicy = RawDnsPolicy()
    proxy: RawProxyPolicy = RawProxyPolicy()
    rules: list[RawRule] = Field(default=[], description="The first that matches settles it.")
    default: Literal["allow", "monitor", "warn", "justify", "block"] = Field(
        default="allow", description="Where no rule does."
    )


type Percent = Annotated[int, Field(ge=0, le=100)]


class RawTolerance(_Raw):
    """How odd a new version of a list may be, in percent; beyond that the version at hand stays."""

    refused: Percent = Field(default=20, description="Lines refused, of all that ask for something.")
    shrink: Percent = Field(default=50, description="Entries fewer than before.")
    growth: int = Field(default=100, ge=0, le=10_000, description="Entries more than before.")


class RawList(_Raw):
    """A list of domains: a local file, or a subscription."""

    id: Id
    path: Line | None = Field(default=None, description="File, relative to the working directory.")
    url: Line | None = Field(default=None, description="Where it is published.")
    format: Line = Field(default="domains", description="As in docs/reference/lists.md; `auto` takes what fits best.")
    refresh: Duration = Field(default=timedelta(hours=24), description="How often a subscription is asked for.")
    sha256: Annotated[str, _read(values.sha256)] | None = Field(
        default=None, description="Digest of the one version that was vetted."
    )
    public_key: Annotated[str, _read(values.public_key)] | None = Field(
        default=None, description="Every version must be signed with it: a minisign key, or a bare Ed25519 key."
    )
    signature: Line | None = Field(default=None, description="Where the signature is; otherwise beside it, `.minisig`.")
    tolerance: RawTolerance = RawTolerance()
    guard: bool = Field(
        default=True, description="Refuse names that many others need; false for a list of names to allow."
    )


class RawDownloads(_Raw):
    """How subscribed lists are fetched."""

    proxy: Annotated[str, _read(values.http_proxy)] | None = Field(
        default=None, description="`http://proxy.example:3128`, or `none`; otherwise what `https_proxy` says."
    )


class RawExemption(_Raw):
    """A client or a user let through for a service until a time."""

    id: Id
    client: Network | None = None
    user: Line | None = None
    service: Line
    until: Moment
    reason: Line = ""
    approver: Line = ""


class RawAccent(_Raw):
    """The organisation's colour on the pages, on light and on dark ground; each must be readable there."""

    light: Annotated[str, _read(values.colour)]
    dark: Annotated[str, _read(values.colour)]


class RawOrganisation(_Raw):
    """Who deploys the filter, as its pages say."""

    name: Words = Text()
    contact: Annotated[str, _read(values.contact)] = Field(
        default="", description="E-mail or https address for questions."
    )
    accent: RawAccent | None = Field(default=None, description="Colour of links, buttons and marks on the pages.")


class RawConfig(_Raw):
    """Configuration of Sumun."""

    version: Literal[1]
    organisation: RawOrganisation = Field(default_factory=RawOrganisation)
    zone: Zone = Field(default=ZoneInfo("UTC"), description="For dates and hours without a zone of their own.")
    listen: RawListen = RawListen()
    upstreams: Some[Annotated[Upstream, _read(upstream)]] = Field(
        default=[SYSTEM], description="`system`, or resolvers over UDP, TLS or HTTPS."
    )
    resolver: RawResolver = RawResolver()
    upstream_ca: Line = Field(
        default="system", description="Roots that origins are verified against: system, or a PEM file."
    )
    destinations: RawDestinations = RawDestinations()
    state: Line = Field(default="var/", description="Folder of events, certificates and the last good policy.")
    store: Annotated[str, _read(values.store_url)] = Field(
        default="", description="PostgreSQL URL of the store of grants, for several hosts; else a file in `state`."
    )
    segments: dict[Id, RawSegment] = Field(min_length=1)
    rules: list[RawRule] = Field(default=[], description="Asked before every segment's own rules.")
    unknown_clients: Line = Field(
        default="refuse", description="refuse, or the segment that clients of no segment are in."
    )
    lists: list[RawList] = []
    downloads: RawDownloads = RawDownloads()
    exemptions: list[RawExemption] = []
