"""SHA-256 and SHA-512 crypt (`$5$`, `$6$`), which the standard library has no more from Python 3.13 on.

After Ulrich Drepper, "Unix crypt using SHA-256 and SHA-512", version 0.6 (akkadia.org/drepper/SHA-crypt.txt).
"""

from __future__ import annotations

import re
from hashlib import sha256, sha512
from hmac import compare_digest
from typing import Final

MOST_ROUNDS: Final = 1_000_000
"""A second's work; the format allows a thousand times as many."""
_FORM = re.compile(
    r"\$([56])\$(?:rounds=([1-9][0-9]{0,8})\$)?([./0-9A-Za-z]{0,16})\$([./0-9A-Za-z]{43}|[./0-9A-Za-z]{86})"
)
_DIGITS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HASHES = {"5": (sha256, 43), "6": (sha512, 86)}


def is_well_formed(hashed: str) -> bool:
    """Whether this is such a hash, with a bearable number of rounds."""
    match = _FORM.fullmatch(hashed)
    if match is None or len(match[4]) != _HASHES[match[1]][1]:
        return False
    return match[2] is None or 1000 <= int(match[2]) <= MOST_ROUNDS


def verify(password: bytes, hashed: str) -> bool:
    """Whether a well-formed hash is this password's."""
    match = _FORM.fullmatch(hashed)
    if match is None:
        return False
    digest = _digest(match[1], password, match[3].encode(), int(match[2] or 5000))
    return compare_digest(_encoded(match[1], digest), match[4])


def _digest(kind: str, password: bytes, salt: bytes, rounds: int) -> bytes:
    """Steps 1 to 21 of the specification."""
    make = _HASHES[kind][0]
    other = make(password + salt + password).digest()
    start = password + salt + _filled(other, len(password))
    left = len(password)
    while left:
        start += other if left & 1 else password
        left >>= 1
    digest = make(start).digest()
    p = _filled(make(password * len(password)).digest(), len(password))
    s = _filled(make(salt * (16 + digest[0])).digest(), len(salt))
    for n in range(rounds):
        odd = n & 1
        text = (p if odd else digest) + (s if n % 3 else b"") + (p if n % 7 else b"") + (digest if odd else p)
        digest = make(text).digest()
    return digest


def _filled(block: bytes, size: int) -> bytes:
    return (block * (size // len(block) + 1))[:size]


def _encoded(kind: str, digest: bytes) -> str:
    """Step 22: groups of three octets, in an order of their own, as four digits each; the last group is shorter."""
    third = len(digest) // 3
    turn = 1 if kind == "6" else -1  # the order within a group turns round, one way or the other, from group to group
    text = ""
    for n in range(third):
        at = [n, n + third, n + 2 * third]
        shift = turn * n % 3
        a, b, c = (digest[at[(k + shift) % 3]] for k in range(3))
        text += _digits(a << 16 | b << 8 | c, 4)
    return text + (_digits(digest[63], 2) if kind == "6" else _digits(digest[31] << 8 | digest[30], 3))


def _digits(number: int, count: int) -> str:
    return "".join(_DIGITS[number >> 6 * n & 63] for n in range(count))
