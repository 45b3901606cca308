"""The sinkhole's side of the configuration: how segments are answered, and with which addresses."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sumun.config.document import Path
from sumun.config.fault import did_you_mean, quoted
from sumun.config.raw import RawConfig
from sumun.config.raw_segment import RawSegment
from sumun.config.rules import Report
from sumun.model.name import IPAddress
from sumun.model.segment import DnsPolicy, StructuredErrors


def dns_policy(raw: RawConfig, segment: RawSegment, path: Path, fault: Report) -> DnsPolicy:
    """How the sinkhole serves a segment."""
    given, errors = segment.dns, None
    if given.structured_errors:
        contact = segment.contact or raw.organisation.contact
        errors = StructuredErrors(_uri(contact), raw.organisation.name.within("en"))
        if not contact:
            message = "`structured_errors` must name whom to ask: give the segment or the organisation a `contact`"
            fault((*path, "dns", "structured_errors"), message)
    return DnsPolicy(given.answer, given.ttl, given.steer, given.ede, errors)


def _uri(contact: str) -> str:
    return contact if contact.startswith("https://") else f"mailto:{contact}"


def check_sinkholes(raw: RawConfig, categories: Collection[str], fault: Report) -> None:
    """Addresses that categories and rules are answered with: one of each family, of known categories."""
    for category in raw.listen.pages.categories:
        if category not in categories:
            message = f"unknown category {quoted(category)}{did_you_mean(category, categories)}"
            fault(("listen", "pages", "categories", category), message)
    for path, addresses in _given(raw):
        if len({address.version for address in addresses}) < len(addresses):
            fault(path, "a sinkhole is one IPv4 address, one IPv6 address, or one of each")
        for n, address in enumerate(addresses):
            if address.is_unspecified or address.is_multicast:
                fault((*path, n), f"`{address}` is no address that clients could reach: name one of this host's own")


def further_sinkholes(raw: RawConfig) -> tuple[IPAddress, ...]:
    """Every address, once each, that some are answered with beside the general one."""
    general = {raw.listen.pages.address, raw.listen.pages.address6}
    found = dict.fromkeys(address for _, addresses in _given(raw) for address in addresses)
    return tuple(a for a in found if not (a in general or a.is_unspecified or a.is_multicast))


def _given(raw: RawConfig) -> Iterator[tuple[Path, list[IPAddress]]]:
    for category, addresses in raw.listen.pages.categories.items():
        yield ("listen", "pages", "categories", category), addresses
    for n, rule in enumerate(raw.rules):
        yield ("rules", n, "sinkhole"), rule.sinkhole or []
    for name, segment in raw.segments.items():
        for n, rule in enumerate(segment.rules):
            yield ("segments", name, "rules", n, "sinkhole"), rule.sinkhole or []
