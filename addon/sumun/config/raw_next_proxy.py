"""The next proxy, as the file says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sumun.config import values
from sumun.config.forms import Line, Raw, read
from sumun.model.name import DomainName
from sumun.model.next_proxy import TellClient
from sumun.model.rule import IPNetwork


class RawNextProxy(Raw):
    """Another proxy, through which all this is reached."""

    url: Annotated[tuple[str, int], read(values.next_proxy)] = Field(description="`http://proxy.example:3128`.")
    credentials: Line = Field(default="", description="File with one line `user:password`, readable by this user only.")
    direct: list[Annotated[DomainName | IPNetwork, read(values.name_or_network)]] = Field(
        default=[], description="Names, with all below them, and networks that are reached without it."
    )
    tell_client: Annotated[TellClient, Field(strict=False)] = Field(
        default=TellClient.NOTHING, description="How it learns the client's address."
    )
    timeout: int = Field(default=30, ge=1, le=300, description="Seconds it has to open a tunnel.")
