from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy.net.http.http1 import read_request_head

from sumun.proxy.hygiene import Flaw, early_flaw, head_flaw, request_flaw
from tests.support.evasions import HIDDEN, READERS, smuggling

HOST = b"Host: a.test\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST /a?b=%23&c=|{}<> HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nX:\r\nY: \xc3\xbc\t,\r\n\r\n",
        b"PROPFIND http://a.test/ HTTP/1.1\r\nhOST:a.test\r\nTransfer-Encoding: Chunked\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + HOST + b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_what_every_server_reads_alike_has_no_flaw(head: bytes) -> None:
    assert head_flaw(head) is None
    assert not any(early_flaw(head[:cut]) for cut in range(len(head)))


@pytest.mark.parametrize(
    ("head", "flaw"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", Flaw.HOST),
        (b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", Flaw.LINE),
        (b"GET /#a HTTP/1.1\r\n" + HOST + b"\r\n", Flaw.LINE),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X : y\r\n\r\n", Flaw.FIELDS),
        (b"GET / HTTP/1.1\r\n" + HOST + b" folded\r\n\r\n", Flaw.FIELDS),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", Flaw.FRAMING),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Content_Length: 1\r\n\r\n", Flaw.FRAMING),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", Flaw.FRAMING),
        (b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close, Host\r\n\r\n", Flaw.FRAMING),
    ],
)
def test_a_flaw_is_named(head: bytes, flaw: Flaw) -> None:
    assert head_flaw(head) is flaw


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01", b" GET", b"GET / HTTP/1.1\n", b"GET /\r\n", b"GET / HTTP/1.1\r\nX: a\nb"]
)
def test_a_head_that_cannot_be_mended_is_not_waited_for(data: bytes) -> None:
    assert early_flaw(data)


def test_a_head_without_flaw_means_one_thing_to_every_reader() -> None:
    """Control and claim: many of the corpus mean several things, and none of those is without a flaw."""
    ambiguous = 0
    for data in smuggling(b"/x", b"a.test"):
        head = data[: data.find(b"\r\n\r\n", 2) + 4].removeprefix(b"\r\n")
        ways = {reader.first(head + b"0\r\n\r\n" + HIDDEN) for reader in READERS}
        ambiguous += len(ways) > 1
        assert len(ways) == 1 or early_flaw(head) or head_flaw(head), head
    assert ambiguous > 100


@given(st.binary(max_size=200), st.sampled_from([b"", b"GET / HTTP/1.1\r\nHost: a\r\n"]))
def test_it_takes_any_octets_and_only_what_mitmproxy_reads_as_well(data: bytes, start: bytes) -> None:
    head = start + data + b"\r\n\r\n"
    early_flaw(head)
    if head_flaw(head) is None:
        lines = head.split(b"\r\n")[:-2]
        assert not any(b"\n" in line or b"\r" in line for line in lines)
        if lines[0].split()[1].startswith(b"/"):
            assert len(read_request_head(lines).headers.fields) == len(lines) - 1


@pytest.mark.parametrize(
    ("method", "target", "fields"),
    [
        (b"GET / HTTP/1.1\r\nX:", b"/", []),
        (b"GET", b"/ HTTP/1.1\r\nHost: b.test\r\n\r\n", []),
        (b"GET", b"/a b", []),
        (b"GET", b"http://b.test/", []),
        (b"GET", b"*", []),
        (b"GET", b"", []),
        (b"G\x00T", b"/", []),
        (b"GET", b"/", [(b"x\r\ny", b"z")]),
        (b"GET", b"/", [(b"x", b"y\r\nhost: b.test")]),
        (b"GET", b"/", [(b"x ", b"y")]),
        (b"GET", b"/", [(b"", b"y")]),
        (b"POST", b"/", [(b"transfer-encoding", b"chunked")]),
        (b"POST", b"/", [(b"content-length", b"1"), (b"content-length", b"2")]),
        (b"GET", b"/", [(b"connection", b"keep-alive")]),
        (b"GET", b"/", [(b"te", b"gzip")]),
    ],
)
def test_what_http2_may_not_carry_into_http1(method: bytes, target: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    assert request_flaw(method, target, fields, is_http2=True)


def test_sound_http2_requests() -> None:
    assert request_flaw(b"OPTIONS", b"*", [], is_http2=True) is None
    fields = [(b"te", b"trailers"), (b"content-length", b"0"), (b"cookie", b"a=b"), (b"x-y", b"")]
    assert request_flaw(b"POST", b"/a?b", fields, is_http2=True) is None
