"""HTTPS and SVCB answers (RFC 9460) without what would hide from the proxy what it must see."""

from __future__ import annotations

from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.rdataset
from dns.rdatatype import RdataType
from dns.rdtypes.svcbbase import ALPNParam, MandatoryParam, ParamKey, SVCBBase

TYPES: Final = frozenset({RdataType.HTTPS, RdataType.SVCB})


def seen_through(reply: bytes, *, without_h3: bool) -> bytes:
    """The reply without ECH keys, and without HTTP/3 where asked; untouched where it has neither.

    Signatures over changed records and the AD flag go with them. Raises ValueError for a malformed message.
    """
    try:
        message = dns.message.from_wire(reply)
        changed = [_change(message, rrset, without_h3) for rrset in [*message.answer, *message.additional]]
        if not any(changed):
            return reply
        message.flags &= ~dns.flags.AD
        return message.to_wire()
    except dns.exception.DNSException as fault:
        raise ValueError(str(fault)) from fault


def _change(message: dns.message.Message, rrset: dns.rdataset.Rdataset, without_h3: bool) -> bool:
    if rrset.rdtype not in TYPES:
        return False
    changed = [_visible(record, without_h3) for record in rrset if isinstance(record, SVCBBase)]
    if changed == list(rrset):
        return False
    ttl = rrset.ttl
    for record in list(rrset):
        rrset.discard(record)  # type: ignore[no-untyped-call]  # the library types its messages only
    for record in changed:
        if record is not None:
            rrset.add(record, ttl)
    for section in (message.answer, message.additional):
        section[:] = [other for other in section if len(other) and not _signs(other, rrset)]
    return True


def _signs(other: dns.rdataset.Rdataset, rrset: dns.rdataset.Rdataset) -> bool:
    same_owner = getattr(other, "name", None) == getattr(rrset, "name", None)
    return same_owner and other.rdtype == RdataType.RRSIG and other.covers == rrset.rdtype


def _visible(record: SVCBBase, without_h3: bool) -> SVCBBase | None:
    """None: without HTTP/3 nothing is left that a client could speak."""
    params = {key: value for key, value in record.params.items() if key != ParamKey.ECH}
    alpn = params.get(ParamKey.ALPN)
    if without_h3 and isinstance(alpn, ALPNParam):
        ids = [id_ for id_ in alpn.ids if not id_.startswith(b"h3")]
        if ids:
            params[ParamKey.ALPN] = ALPNParam(ids)  # type: ignore[no-untyped-call]  # the library types its messages only
        elif ParamKey.NO_DEFAULT_ALPN in params:
            return None
        else:
            del params[ParamKey.ALPN]
    mandatory = params.get(ParamKey.MANDATORY)
    if isinstance(mandatory, MandatoryParam):
        keys = [key for key in mandatory.keys if key in params]
        if keys:
            params[ParamKey.MANDATORY] = MandatoryParam(keys)  # type: ignore[no-untyped-call]  # as above
        else:
            del params[ParamKey.MANDATORY]
    if params == record.params:
        return record
    changed = record.replace(params=params)
    assert isinstance(changed, SVCBBase)  # noqa: S101 - narrows the type
    return changed
