"""Signatures of lists: minisign (https://jedisct1.github.io/minisign/), and bare Ed25519."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime

from sumun.loading.outcome import NotTaken, Outcome

MAX_OCTETS = 4096
"""Of a signature file."""
_TIMESTAMP = re.compile(r"(?:^|\s)timestamp:([0-9]{1,11})(?=\s|$)", re.ASCII)


def verify(octets: bytes, signature: bytes, public_key: str) -> datetime | None:
    """Check a list against its signature; raises NotTaken. Returns when it was signed, where that is signed too."""
    key = base64.b64decode(public_key)
    if len(key) == 32:
        _check(key, _bare(signature), octets, "the signature is not one of this list by this key")
        return None
    return _minisign(octets, signature, key)


def _minisign(octets: bytes, signature: bytes, key: bytes) -> datetime | None:
    lines = signature.decode("utf-8", "replace").splitlines()
    if len(lines) < 4 or not lines[2].startswith("trusted comment: "):
        raise _wrong("what is at the signature's address is not one of minisign")
    made, sealed = _decoded(lines[1], 74), _decoded(lines[3], 64)
    comment = lines[2].removeprefix("trusted comment: ")
    algorithm, key_id, signed = made[:2], made[2:10], made[10:]
    if key_id != key[2:10]:
        raise _wrong("the list is signed with another key than `public_key`")
    if algorithm not in (b"Ed", b"ED"):
        raise _wrong("the signature is of a kind that is not known")
    message = hashlib.blake2b(octets).digest() if algorithm == b"ED" else octets
    _check(key[10:], signed, message, "the signature is not one of this list by this key")
    _check(key[10:], sealed, signed + comment.encode(), "the trusted comment of the signature was changed")
    found = _TIMESTAMP.search(comment)
    return datetime.fromtimestamp(int(found[1]), UTC) if found else None


def _bare(signature: bytes) -> bytes:
    return signature if len(signature) == 64 else _decoded(signature.decode("ascii", "replace").strip(), 64)


def _decoded(text: str, length: int) -> bytes:
    try:
        octets = base64.b64decode(text, validate=True)
    except ValueError:
        octets = b""
    if len(octets) != length:
        raise _wrong("the signature cannot be read")
    return octets


def _check(key: bytes, signature: bytes, message: bytes, otherwise: str) -> None:
    try:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - comes with mitmproxy, an extra
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - see above
    except ImportError:
        raise _wrong("verifying it needs the package `cryptography`: install it, or `sumun[proxy]`") from None
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise _wrong(otherwise) from None


def _wrong(message: str) -> NotTaken:
    return NotTaken(Outcome.SIGNATURE, message)
