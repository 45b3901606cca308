"""What a message says of who sends it; all of it hostile."""

from __future__ import annotations

from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.config.user_settings import IdentityHeader
from sumun.model.user import Identity
from sumun.proxy.credentials import Credentials, basic, fields_of, said, socks_credentials
from sumun.proxy.opening import Unreadable

HEADER = IdentityHeader("X-User", "X-Groups")


def encoded(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


def test_a_password_may_have_colons() -> None:
    assert basic(encoded("kim:a:b:")) == Credentials("kim", b"a:b:")
    assert basic(encoded("kim:")) == Credentials("kim", b"")


@pytest.mark.parametrize(
    "value", ["", "Basic", "Basic !!", "Bearer abc", encoded("kim"), "Basic " + "A" * 2000, "Basic /w"]
)
def test_what_is_none_is_none(value: str) -> None:
    assert basic(value) is None


def test_no_text_shows_a_password() -> None:
    found = said({"proxy-authorization": [encoded("kim:secret")]}, None)
    assert found.credentials == Credentials("kim", b"secret")
    assert "secret" not in repr(found) + str(found) + repr(found.credentials)


def test_two_fields_are_none_and_said_to_be_malformed() -> None:
    twice = said({"proxy-authorization": [encoded("kim:a"), encoded("lee:b")]}, None)
    assert (twice.credentials, twice.malformed) == (None, True)


def test_a_parent_names_user_and_groups() -> None:
    head = b"CONNECT a:443 HTTP/1.1\r\nX-USER: Kim\r\nx-groups: Staff, research\r\n\r\n"
    assert said(fields_of(head), HEADER).named == Identity("kim", frozenset({"staff", "research"}))
    twice = head.replace(b"x-groups", b"X-User")
    assert said(fields_of(twice), HEADER).named is None
    assert said(fields_of(head), None).named is None


def test_socks_credentials_wait_for_their_end() -> None:
    whole = b"\x01\x03kim\x05a:b:c"
    for size in range(len(whole)):
        assert socks_credentials(whole[:size]) is None
    assert socks_credentials(whole + b"\x05") == (Credentials("kim", b"a:b:c"), len(whole))
    with pytest.raises(Unreadable):
        socks_credentials(b"\x05\x01")


@given(st.binary())
def test_any_octets_are_read(octets: bytes) -> None:
    said(fields_of(octets), HEADER)
    with suppress(Unreadable):
        socks_credentials(octets)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    basic(text)
    basic("Basic " + text)
    said({"x-user": [text], "x-groups": [text]}, HEADER)
