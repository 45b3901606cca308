"""Who asks for what, as far as it is known where the question is put."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from sumun.model.name import DomainName, IPAddress


class Unknown(Enum):
    """Not known here, though a later enforcement point may know it; ``None`` is known to be absent."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


class Facet(StrEnum):
    """What a decision may still need: a closed set, said in ``Undetermined.needs``."""

    USER = "user"
    PATH = "path"
    MODEL = "model"
    CONTENT = "content"
    UPLOADS = "uploads"


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One attempt to reach something; the sinkhole knows client and name, the proxy the rest."""

    client: IPAddress
    name: DomainName | None
    """None: the client gave no name (an address literal, a ClientHello without server name)."""
    address: IPAddress | None = None
    port: int | None = None
    method: str | None = None
    path: str | Unknown = UNKNOWN
    """Without the query string."""
    user: str | Unknown | None = UNKNOWN
    groups: frozenset[str] = frozenset()
    """Of the user, where one is known."""
    model: str | Unknown | None = UNKNOWN
    content: frozenset[str] | Unknown = UNKNOWN
    """Ids of the detectors that matched."""
    uploads: bool | Unknown = UNKNOWN
