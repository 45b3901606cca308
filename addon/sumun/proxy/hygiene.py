"""What is wrong with the head of a request, before anybody acts on it. Pure.

Two servers in a row that read one head differently let a client smuggle: a second request, another host, another end
of the body. So only what every server reads alike is taken, and nothing is repaired (RFC 9112, 2.2, 3, 5, 6 and 11.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum

type Field = tuple[bytes, bytes]
"""Name and value as they came."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = rb"(%b) ([!\"$-~\x80-\xff]+) (HTTP/1\.[01])\r\n" % _TOKEN
"""No `#`: it ends a target for some, and not for others (RFC 9112, 3.2)."""
_HEAD = re.compile(_LINE + rb"(?:%b:[\t -~\x80-\xff]*\r\n)*\r\n" % _TOKEN)
_REQUEST_LINE = re.compile(_LINE)
_BEGINNING = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]")
_LONE = re.compile(rb"(?<!\r)\n|\r(?=[^\n])|\x00")
"""Line ends that only some take for one (RFC 9112, 2.2)."""
_FRAMING = re.compile(
    rb"\r\n(content[-_]length|transfer[-_]encoding|connection):[ \t]*([^\r]*?)[ \t]*(?=\r\n)", re.IGNORECASE
)
_NAME = re.compile(_TOKEN)
_VALUE = re.compile(rb"[\t -~\x80-\xff]*")
_TARGET = re.compile(rb"/[!\"$-~\x80-\xff]*")
_HOST = re.compile(rb"\r\nhost:", re.IGNORECASE)
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_KEPT = {b"host", b"content-length", b"transfer-encoding", b"authorization", b"cookie"}
"""Fields that no Connection field may declare to be of this hop: the next server would drop them."""
_OF_A_CONNECTION = {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
"""HTTP/2 has no such fields (RFC 9113, 8.2.2)."""


class Flaw(StrEnum):
    """Why a request is not acted on; shown to the client."""

    LINE = "the request line is malformed"
    FIELDS = "a header field is malformed"
    HOST = "it names no host"
    FRAMING = "the end of the body can be read in two ways"

    @property
    def is_smuggling(self) -> bool:
        """Whether no honest client does this: the request line makes sense, and what follows is ambiguous."""
        return self in (Flaw.FIELDS, Flaw.FRAMING)


def early_flaw(data: bytes) -> Flaw | None:
    """Look at a head that has not ended: no more octets can mend what is found here."""
    if data and not _BEGINNING.match(data):
        return Flaw.LINE
    end = data.find(b"\n")
    if end >= 0 and not _REQUEST_LINE.fullmatch(data, 0, end + 1):
        return Flaw.LINE
    return Flaw.FIELDS if _LONE.search(data) else None


def head_flaw(head: bytes) -> Flaw | None:
    """Look at a whole HTTP/1 head, its empty line included."""
    match = _HEAD.fullmatch(head)
    if match is None:
        return Flaw.FIELDS if _REQUEST_LINE.match(head) else Flaw.LINE
    current = match[3] == b"HTTP/1.1"
    if current and not _HOST.search(head):
        return Flaw.HOST  # RFC 9112, 3.2
    fields = _FRAMING.findall(head)
    return framing_flaw(fields, takes_chunks=current) if fields else None


def request_flaw(method: bytes, target: bytes, fields: Iterable[Field], *, is_http2: bool) -> Flaw | None:
    """Look at a request that was read, whichever version it came in, as it would be written for HTTP/1."""
    if not _NAME.fullmatch(method) or method.upper() == b"PRI":
        return Flaw.LINE
    if not _TARGET.fullmatch(target) and (target != b"*" or method != b"OPTIONS"):
        return Flaw.LINE
    fields = list(fields)
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in fields):
        return Flaw.FIELDS
    if is_http2 and any(_contradicts_http2(name.lower(), value) for name, value in fields):
        return Flaw.FRAMING
    return framing_flaw(fields, takes_chunks=not is_http2)


def framing_flaw(fields: Iterable[Field], *, takes_chunks: bool) -> Flaw | None:
    """Refuse every body with two ends (RFC 9112, 6.3), and lookalikes that some gateways read as the real fields."""
    lengths, codings = 0, 0
    for name, value in ((name.lower(), value.strip(b" \t")) for name, value in fields):
        if name == b"content-length":
            lengths += 1 if _LENGTH.fullmatch(value) else 2
        elif name == b"transfer-encoding":
            codings += 1 if value.lower() == b"chunked" and takes_chunks else 2
        elif name in (b"content_length", b"transfer_encoding") or (name == b"connection" and _drops(value)):
            return Flaw.FRAMING
    return Flaw.FRAMING if lengths + codings > 1 else None


def _drops(value: bytes) -> bool:
    return not _KEPT.isdisjoint(option.strip(b" \t") for option in value.lower().split(b","))


def _contradicts_http2(name: bytes, value: bytes) -> bool:
    return name in _OF_A_CONNECTION or (name == b"te" and value.lower() != b"trailers")
