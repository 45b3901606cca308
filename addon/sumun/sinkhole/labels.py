"""Query types and response codes as text: whole for the decision log, bounded for metrics."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import dns.rcode
import dns.rdatatype

_COUNTED: Final = frozenset(
    {"A", "AAAA", "ANY", "AXFR", "CAA", "CNAME", "DNAME", "DNSKEY", "DS", "HTTPS"}
    | {"IXFR", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SVCB", "TLSA", "TXT"}
)
OTHER: Final = "OTHER"


@lru_cache(maxsize=1024)
def type_text(type_: int) -> str:
    """The type's mnemonic, or TYPE123 (RFC 3597)."""
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(type_))


@lru_cache(maxsize=1024)
def type_label(type_: int) -> str:
    """The mnemonic of a type that is counted by itself, else OTHER."""
    text = type_text(type_)
    return text if text in _COUNTED else OTHER


def rcode_label(flags: int) -> str:
    """The mnemonic of the response code in these header flags, RCODE11 to RCODE15 included; sixteen values."""
    return dns.rcode.to_text(dns.rcode.Rcode.make(flags & 0xF))
