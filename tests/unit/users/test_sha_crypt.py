"""SHA crypt, against the vectors of its specification and against OpenSSL's own."""

from __future__ import annotations

import subprocess

import pytest

from sumun.users.sha_crypt import is_well_formed, verify


@pytest.mark.parametrize(
    ("password", "hashed"),
    [
        (
            "This is just a test",
            "$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0",
        ),
    ],
)
def test_vectors_of_the_specification(password: str, hashed: str) -> None:
    assert is_well_formed(hashed)
    assert verify(password.encode(), hashed)
    assert not verify(password.encode() + b"x", hashed)


@pytest.mark.parametrize("kind", ["-5", "-6"])
@pytest.mark.parametrize("password", ["a", "x" * 31, "x" * 32, "x" * 64, "x" * 65, "p\N{SNOWMAN}ss:word"])
@pytest.mark.parametrize("salt", ["a", "saltstring", "abcdefghijklmnop", "rounds=1000$mnop"])
def test_openssl_agrees(kind: str, password: str, salt: str) -> None:
    command = ["openssl", "passwd", kind, "-salt", salt, password]
    hashed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert is_well_formed(hashed)
    assert verify(password.encode(), hashed)
    assert not verify(password.encode()[:-1], hashed)


@pytest.mark.parametrize(
    "hashed",
    [
        "",
        "$6$",
        "$7$salt$" + "a" * 86,
        "$6$salt$" + "a" * 43,
        "$5$rounds=999$s$" + "a" * 43,
        "$6$rounds=9999999$s$" + "a" * 86,
    ],
)
def test_what_is_no_such_hash_is_not_taken(hashed: str) -> None:
    assert not is_well_formed(hashed)
