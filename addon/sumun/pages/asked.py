"""What was asked for, as far as the answer's form depends on it, and the answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Asked:
    """The parts of a request that choose an answer's form and language; every field is hostile text."""

    host: str
    """Host of the request target, with or without a port."""
    path: str
    """Without the query string."""
    method: str
    accept: str = ""
    accept_language: str = ""
    fetch_dest: str = ""
    """``Sec-Fetch-Dest``: sent by browsers to secure origins only, so empty proves nothing."""
    upgrade: str = ""
    content_type: str = ""
    origin: str = ""
    """``Origin``."""
    preflight: str = ""
    """``Access-Control-Request-Method``."""
    preflight_headers: str = ""
    """``Access-Control-Request-Headers``."""


@dataclass(frozen=True, slots=True)
class Page:
    """A whole response; whoever sends it adds ``Content-Length``."""

    status: int
    headers: tuple[tuple[str, str], ...]
    """Field names in lower case; INVARIANT: printable ASCII, so no value can end a line."""
    body: bytes


class Failure(StrEnum):
    """Why there is no answer though no rule forbids one; the code of an API answer and a key of the languages."""

    FILTER = "filter_failure"
    """The filter could not decide, and the segment is closed on failure."""
    BAD_REQUEST = "bad_request"
    HOST_MISMATCH = "host_mismatch"
    """Request target, Host header, CONNECT target or server name disagree."""
    UPSTREAM_CERTIFICATE = "upstream_certificate"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
