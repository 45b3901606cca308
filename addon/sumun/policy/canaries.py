"""Names by which software asks whether it may take its questions elsewhere, encrypted and past this filter."""

from __future__ import annotations

from typing import Final

from sumun.model.name import DomainName
from sumun.model.verdict import Verdict

_EXACT: Final = {
    # https://support.mozilla.org/kb/canary-domain-use-application-dnsnet
    "use-application-dns.net": ("doh_canary", Verdict.NXDOMAIN),
    # https://developer.apple.com/icloud/prepare-your-network-for-icloud-private-relay/
    "mask.icloud.com": ("private_relay", Verdict.NXDOMAIN),
    "mask-h2.icloud.com": ("private_relay", Verdict.NXDOMAIN),
    "mask.apple-dns.net": ("private_relay", Verdict.NXDOMAIN),
}
_DISCOVERY: Final = ("resolver_discovery", Verdict.NODATA)
"""RFC 9462, section 6.4: who designates no encrypted resolver answers NODATA for the whole zone."""


def canary(name: DomainName) -> tuple[str, Verdict] | None:
    """The technique that the name belongs to, and the answer that says no; None: any other name."""
    if name.text == "resolver.arpa" or name.text.endswith(".resolver.arpa"):
        return _DISCOVERY
    return _EXACT.get(name.text)
