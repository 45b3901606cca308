from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.proxy.opening import Unreadable
from sumun.proxy.socks import Greeting, Reply, Unanswerable, greeting, request

BY_NAME = b"\x05\x01\x00\x03\x09Open.Test\x01\xbb"


@pytest.mark.parametrize(
    ("data", "destination"),
    [
        (BY_NAME, "open.test:443"),
        (b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50", "192.0.2.1:80"),
        (b"\x05\x01\x00\x04" + bytes(10) + b"\xff\xff\xc0\x00\x02\x01\x00\x50", "192.0.2.1:80"),
        (b"\x05\x01\x00\x03\x0a0x7f000001\x00\x50", "127.0.0.1:80"),
    ],
    ids=["name", "IPv4", "IPv4 in IPv6", "a number as a name"],
)
def test_a_request_is_read_whole(data: bytes, destination: str) -> None:
    read = request(data + b"\x16\x03")
    assert read is not None
    assert (str(read.destination), read.size) == (destination, len(data))
    assert all(request(data[:cut]) is None for cut in range(len(data)))


@pytest.mark.parametrize(("data", "reply"), [(b"\x05\x02\x00\x01\0\0\0\0\0\x50", Reply.NO_SUCH_COMMAND),
                                             (b"\x05\x01\x00\x02\0\0\0\0\0\x50", Reply.NO_SUCH_ADDRESS)])  # fmt: skip
def test_what_is_not_served_is_told(data: bytes, reply: Reply) -> None:
    with pytest.raises(Unanswerable) as told:
        request(data)
    assert told.value.reply is reply


def test_a_greeting_waits_for_its_end() -> None:
    assert greeting(b"\x05\x02\x02") is None
    assert greeting(b"\x05\x02\x02\x00\x05") == Greeting(anonymous=True, named=True, size=4)
    assert greeting(b"\x05\x01\x02") == Greeting(anonymous=False, named=True, size=3)


@given(st.binary(max_size=300))
def test_anything_is_read_or_refused(data: bytes) -> None:
    with suppress(Unreadable):
        greeting(data)
        request(b"\x05" + data)
