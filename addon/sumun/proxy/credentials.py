"""What a message says of who sends it, and how somebody is asked. Pure.

Basic authentication in HTTP (RFC 7617), name and password in SOCKS5 (RFC 1929), and the fields of listed parents.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from sumun.config.user_settings import IdentityHeader
from sumun.model.user import BadUserName, Identity, user_name
from sumun.proxy.opening import Unreadable

LONGEST = 1024
"""Characters of a field of credentials: 128 of a name and 256 octets of a password take half."""
_GROUPS = 500
_FIELD = re.compile(rb"^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.MULTILINE)
SIGNED_IN = bytes((1, 0))
WRONG = bytes((1, 1))
"""Answers to name and password (RFC 1929, 2)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password, which no text of this value shows."""

    name: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says of who sends it; none of it is believed yet, nor shown in any text of this value."""

    credentials: Credentials | None = field(default=None, repr=False)
    malformed: bool = False
    """There is a field of credentials, and it is none that is served."""
    named: Identity | None = None
    """Whom a parent names."""


def said(fields: Mapping[str, list[str]], header: IdentityHeader | None) -> Said:
    """Read the fields of a message, by their names in lower case."""
    authorization = fields.get("proxy-authorization", [])
    found = basic(authorization[0]) if len(authorization) == 1 else None
    return Said(found, bool(authorization) and found is None, _named(fields, header) if header else None)


def fields_of(head: bytes) -> dict[str, list[str]]:
    """The fields of a request head, by their names in lower case."""
    fields: dict[str, list[str]] = {}
    for name, value in _FIELD.findall(head.partition(b"\n")[2]):
        fields.setdefault(name.decode("ascii").lower(), []).append(value.decode("latin-1"))
    return fields


def basic(value: str) -> Credentials | None:
    """Read `Basic …`; the password begins after the first colon, and may have more of them."""
    scheme, _, rest = value[:LONGEST].partition(" ")
    if scheme.lower() != "basic" or len(value) > LONGEST:
        return None
    with suppress(NotBase64, ValueError, UnicodeDecodeError):
        name, colon, password = b64decode(rest.strip(), validate=True).partition(b":")
        return Credentials(name.decode(), password) if colon else None
    return None


def socks_credentials(data: bytes) -> tuple[Credentials, int] | None:
    """Read name and password, and how many octets they took; None: more is needed; raises Unreadable."""
    if len(data) < 2:
        return None
    if data[0] != 1:
        raise Unreadable("the SOCKS credentials are malformed")
    at = 2 + data[1]
    if len(data) <= at or len(data) < (end := at + 1 + data[at]):
        return None
    return Credentials(data[2:at].decode("utf-8", "replace"), data[at + 1 : end]), end


def _named(fields: Mapping[str, list[str]], header: IdentityHeader) -> Identity | None:
    """Whom the fields name; nobody where they are not plain, for a guess would be somebody else."""
    names = fields.get(header.user.lower(), [])
    groups = ",".join(fields.get(header.groups.lower(), [])) if header.groups else ""
    with suppress(BadUserName, UnicodeError):
        if len(names) == 1:
            name = user_name(_text(names[0]))
            listed = [each.strip() for each in _text(groups).split(",")[:_GROUPS]]
            return Identity(name, frozenset(user_name(each) for each in listed if each))
    return None


def _text(value: str) -> str:
    """A field value as UTF-8; header fields are read as ISO 8859-1, octet by octet."""
    return value.encode("latin-1", "surrogateescape").decode()
