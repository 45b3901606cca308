from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.parents import SIGNATURE, Header, Unreadable, forwarded, forwarded_in, header

TRUSTED = (ip_network("192.0.2.0/24"),)
V6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 1 2\r\n"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        pytest.param(b"PROXY TCP4 10.0.0.7 10.0.0.1 5 80\r\nGET", Header(ip_address("10.0.0.7"), 35), id="v1"),
        pytest.param(V6, Header(ip_address("2001:db8::7"), len(V6)), id="v1 with IPv6"),
        pytest.param(b"PROXY UNKNOWN\r\n", Header(None, 15), id="v1 that does not know"),
        pytest.param(LOCAL + b"x", Header(None, 16), id="v2 of the parent itself"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\n", Header(None, 0), id="none"),
        pytest.param(b"POST / HTTP/1.1\r\n", Header(None, 0), id="none, though it begins alike"),
        pytest.param(b"PRO", None, id="not all of it yet"),
        pytest.param(SIGNATURE, None, id="nor of this"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_a_header_is_read(data: bytes, found: Header | None) -> None:
    assert header(data) == found


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY TCP4 10.0.0.7\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
        b"PROXY TCP4 300.0.0.7 10.0.0.1 5 80\r\n",
        b"PROXY " + b"x" * 200,
        SIGNATURE + b"\x11\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\x00\x04" + bytes(4),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_a_header_that_makes_no_sense_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        header(data)


@given(st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11"]), st.binary(max_size=300))
def test_anything_is_read_or_refused(start: bytes, rest: bytes) -> None:
    with suppress(Unreadable):
        found = header(start + rest)
        assert found is None or found.size <= len(start + rest)


@pytest.mark.parametrize(
    ("values", "client"),
    [
        (["203.0.113.1, 10.0.0.7"], "10.0.0.7"),
        (["10.0.0.7, 192.0.2.9"], "10.0.0.7"),
        (["10.0.0.1", "10.0.0.7"], "10.0.0.7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["::ffff:10.0.0.7"], "10.0.0.7"),
        (["10.0.0.7, unknown"], None),
        (["192.0.2.1"], None),
        ([], None),
    ],
)
def test_the_last_one_that_is_no_parent_counts(values: list[str], client: str | None) -> None:
    assert forwarded(values, TRUSTED) == (ip_address(client) if client else None)


def test_the_field_is_found_in_the_head_of_a_connect() -> None:
    head = b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\nx-forwarded-for:10.0.0.7 \r\nX-Other: 1\r\n\r\n"
    assert forwarded_in(head, TRUSTED) == ip_address("10.0.0.7")
    assert forwarded_in(b"CONNECT a:1 HTTP/1.1\r\nNot-X-Forwarded-For: 10.0.0.7\r\n\r\n", TRUSTED) is None
