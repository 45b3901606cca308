"""The one thing that can go wrong when somebody else is asked."""

from __future__ import annotations


class UpstreamError(Exception):
    """No resolver gave a usable answer; the message says which ones were asked and what each of them did."""
