"""What DNS over HTTPS (RFC 8484) means by a request, and what it says beside an answer. Pure: no HTTP here."""

from __future__ import annotations

import binascii
from typing import Final

from dns.rcode import Rcode
from dns.rdatatype import RdataType

from sumun.upstream.message import HEADER, MalformedMessage, flags_of, records

MAX_QUERY = 4096
"""Octets of a query, and of the body that brings it."""
MEDIA_TYPE: Final = b"application/dns-message"
METHODS: Final = b"GET, POST"
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
"""Base64url to base64, whose own signs become such as are in neither."""

type Status = int
"""Of HTTP (RFC 9110, 15): why a request brings no query."""


class Requests:
    """Requests to one path."""

    def __init__(self, path: str) -> None:
        self._path = path.encode()
        self._prefix = self._path + b"?dns="

    def query(self, method: bytes, target: bytes, media_type: bytes, body: bytes) -> bytes | Status:
        """The query that a request brings, or what to answer in its place."""
        if method == b"GET" and target.startswith(self._prefix) and b"&" not in target:
            wire = decoded(target[len(self._prefix) :])
        elif target.partition(b"?")[0] != self._path:
            return 404
        elif method == b"GET":
            parameters = target.partition(b"?")[2].split(b"&")
            given = [text[4:] for text in parameters if text.startswith(b"dns=")]
            wire = decoded(given[0]) if len(given) == 1 else None
        elif method != b"POST":
            return 405
        elif media_type.partition(b";")[0].strip().lower() != MEDIA_TYPE:
            return 415
        else:
            wire = body
        if wire is None or len(wire) < HEADER:
            return 400
        return 413 if len(wire) > MAX_QUERY else wire


def decoded(text: bytes) -> bytes | None:
    """Octets written in base64url (RFC 4648, 5), with or without padding; None: they are not."""
    if text.endswith(b"="):
        text = text[:-2] + text[-2:].rstrip(b"=")
    if len(text) % 4 == 1:
        return None
    try:
        octets = binascii.a2b_base64(text.translate(_TO_STANDARD) + b"==")
    except binascii.Error:
        return None
    return octets if len(octets) == len(text) * 3 // 4 else None  # else signs of no alphabet were passed over


def freshness(message: bytes) -> int:
    """Seconds that HTTP may keep an answer (RFC 8484, 5.1): its smallest time to live; where it is empty, its SOA's."""
    try:
        if flags_of(message) & 0xF not in (Rcode.NOERROR, Rcode.NXDOMAIN):
            return 0
        found = list(records(message))
    except MalformedMessage:
        return 0
    answers = [_ttl(message, record.fields) for record in found if record.section == 1]
    if answers:
        return min(answers)
    soas = (record for record in found if record.section == 2 and record.type == RdataType.SOA)
    return min((min(_ttl(message, soa.fields), _ttl(message, soa.end - 8)) for soa in soas), default=0)


def _ttl(message: bytes, fields: int) -> int:
    """Four octets on from here; above 2**31 means none (RFC 2181, 8)."""
    seconds = int.from_bytes(message[fields + 4 : fields + 8])
    return seconds if seconds < 1 << 31 else 0
