"""Rules and exemptions, as the file says them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, Tag, model_validator

from sumun.config import moments, values
from sumun.config.forms import (
    Address,
    Country,
    Day,
    Duration,
    Id,
    Line,
    Moment,
    Network,
    OneOrMore,
    Raw,
    Some,
    Words,
    Zone,
    read,
)
from sumun.model.rule import Action, Mode, OnPinned
from sumun.model.service import Match, Pattern
from sumun.model.text import Text


class RawDomain(Raw):
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
    Annotated[Pattern, read(values.pattern), Tag("text")] | Annotated[RawDomain, Tag("mapping")], Discriminator(_form)
]


class RawHours(Raw):
    """Hours of the week, on the wall clock of a zone."""

    days: OneOrMore[Annotated[frozenset[int], read(moments.days)]] | None = Field(
        default=None, description="`mon-fri`, or a list of days; the day on which an interval begins."
    )
    times: OneOrMore[Annotated[moments.Interval, read(moments.interval)]] | None = Field(
        default=None, description="`09:00-18:00`, or a list; `22:00-06:00` ends on the next day."
    )
    zone: Zone | None = Field(default=None, description="Such as Asia/Seoul; without it the zone of the whole file.")


type HeaderName = Annotated[str, read(values.header_name)]
type HeaderValue = Annotated[str, read(values.header_value)]


type User = Annotated[str, read(values.user)]


class RawRule(Raw):
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
    on_premises: bool | None = Field(
        default=None,
        description="true: known to be offered for the organisation's own machines; false: not known to be.",
    )
    domains: Some[Domain] | None = Field(
        default=None, description="Names; each covers all below it unless `match` says else."
    )
    lists: Some[Line] | None = Field(default=None, description="Ids from `lists`.")
    clients: Some[Network] | None = Field(default=None, description="Networks or single addresses.")
    users: Some[User] | None = Field(default=None, description="Names of users, or `group:NAME`.")
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

    sinkhole: Some[Address] | None = Field(
        default=None,
        description="Addresses that its names are answered with, one of each family; else those of the pages.",
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
    on_pinned: Annotated[OnPinned, Field(strict=False)] = Field(
        default=OnPinned.REFUSE,
        description="Client that refuses our certificate: refuse, or splice, for an hour from its next connection on.",
    )


class RawExemption(Raw):
    """A client or a user let through for a service until a time."""

    id: Id
    client: Network | None = None
    user: User | None = None
    service: Line
    until: Moment
    reason: Line = ""
    approver: Line = ""
