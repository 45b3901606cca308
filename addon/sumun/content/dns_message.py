"""DNS over HTTPS by its shape (RFC 8484, and the JSON forms that large resolvers serve besides). Pure."""

from __future__ import annotations

import re

_TYPES = ("application/dns-message", "application/oblivious-dns-message", "application/dns-json")
_PARAMETER = re.compile(r"[?&]dns=[A-Za-z0-9_-]{16,}={0,2}(?:&|$)")
"""A message of the least size has twelve octets (RFC 1035, 4.1.1), which is sixteen characters."""


def is_dns(target: str, content_type: str, accept: str) -> bool:
    """Whether a request asks a resolver; ``target`` with its query, fields as they came, or empty."""
    said = f"{content_type},{accept}".lower()
    return any(type_ in said for type_ in _TYPES) or _PARAMETER.search(target) is not None
