"""What a policy enforcement point did."""

from __future__ import annotations

from enum import StrEnum


class Point(StrEnum):
    """Where policy is enforced."""

    DNS = "dns"
    GATE = "gate"
    HTTP = "http"


class Verdict(StrEnum):
    """What happened to the request; never to be confused with the decision behind it."""

    FORWARDED = "forwarded"
    SPLICED = "spliced"
    INTERCEPTED = "intercepted"
    """The gate handed the connection to the http point, which will reach a verdict of its own."""
    STEERED = "steered"
    SINKHOLED = "sinkholed"
    NULL = "null"
    NODATA = "nodata"
    NXDOMAIN = "nxdomain"
    BLOCK_PAGE = "block_page"
    WARN_PAGE = "warn_page"
    JUSTIFY_PAGE = "justify_page"
    REFUSED = "refused"
    CLOSED = "closed"


class DataExposed(StrEnum):
    """How much of the user's data can have left for the destination, from nothing to all."""

    NONE = "none"
    NAME_ONLY = "name_only"
    HANDSHAKE = "handshake"
    REQUEST_HEADERS = "request_headers"
    REQUEST_BODY = "request_body"
