"""Lists and how they are fetched, as the file says it."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from sumun.config import values
from sumun.config.forms import Duration, Id, Line, Raw, read

type Percent = Annotated[int, Field(ge=0, le=100)]


class RawTolerance(Raw):
    """How odd a new version of a list may be, in percent; beyond that the version at hand stays."""

    refused: Percent = Field(default=20, description="Lines refused, of all that ask for something.")
    shrink: Percent = Field(default=50, description="Entries fewer than before.")
    growth: int = Field(default=100, ge=0, le=10_000, description="Entries more than before.")


class RawList(Raw):
    """A list of domains: a local file, or a subscription."""

    id: Id
    path: Line | None = Field(default=None, description="File, relative to the working directory.")
    url: Line | None = Field(default=None, description="Where it is published.")
    format: Line = Field(default="domains", description="As in docs/reference/lists.md; `auto` takes what fits best.")
    refresh: Duration = Field(default=timedelta(hours=24), description="How often a subscription is asked for.")
    sha256: Annotated[str, read(values.sha256)] | None = Field(
        default=None, description="Digest of the one version that was vetted."
    )
    public_key: Annotated[str, read(values.public_key)] | None = Field(
        default=None, description="Every version must be signed with it: a minisign key, or a bare Ed25519 key."
    )
    signature: Line | None = Field(default=None, description="Where the signature is; otherwise beside it, `.minisig`.")
    tolerance: RawTolerance = RawTolerance()
    guard: bool = Field(
        default=True, description="Refuse names that many others need; false for a list of names to allow."
    )


class RawDownloads(Raw):
    """How subscribed lists are fetched."""

    proxy: Annotated[str, read(values.http_proxy)] | None = Field(
        default=None, description="`http://proxy.example:3128`, or `none`; otherwise what `https_proxy` says."
    )
