"""What a request means."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.sinkhole.https.requests import MAX_QUERY, MEDIA_TYPE, Requests, decoded, freshness
from tests.unit.sinkhole.asking import query

IT = Requests("/dns-query")
WIRE = query("www.example.test", id=0x5AA5)
TEXT = urlsafe_b64encode(WIRE).rstrip(b"=")


@pytest.mark.parametrize(
    ("method", "target", "media_type", "body", "expected"),
    [
        (b"GET", b"/dns-query?dns=" + TEXT, b"", b"", WIRE),
        (b"GET", b"/dns-query?dns=" + urlsafe_b64encode(WIRE), b"", b"", WIRE),
        (b"GET", b"/dns-query?ct&dns=" + TEXT, b"", b"", WIRE),
        (b"GET", b"/dns-query?dns=" + TEXT + b"&x=1", b"", b"", WIRE),
        (b"POST", b"/dns-query", MEDIA_TYPE, WIRE, WIRE),
        (b"POST", b"/dns-query?x", b"Application/DNS-Message ; x=y", WIRE, WIRE),
        (b"GET", b"/dns-query", b"", b"", 400),
        (b"GET", b"/dns-query?dns=", b"", b"", 400),
        (b"GET", b"/dns-query?dns=!!!!", b"", b"", 400),
        (b"GET", b"/dns-query?dns=AAAAA", b"", b"", 400),
        (b"GET", b"/dns-query?dns=" + TEXT + b"&dns=" + TEXT, b"", b"", 400),
        (b"POST", b"/dns-query", MEDIA_TYPE, b"short", 400),
        (b"GET", b"/", b"", b"", 404),
        (b"GET", b"/dns-query/?dns=" + TEXT, b"", b"", 404),
        (b"POST", b"/dns-queryx", MEDIA_TYPE, WIRE, 404),
        (b"PUT", b"/dns-query", MEDIA_TYPE, WIRE, 405),
        (b"HEAD", b"/dns-query?dns=" + TEXT, b"", b"", 405),
        (b"POST", b"/dns-query", MEDIA_TYPE, bytes(MAX_QUERY + 1), 413),
        (b"GET", b"/dns-query?dns=" + b"A" * 8000, b"", b"", 413),
        (b"POST", b"/dns-query", b"application/json", WIRE, 415),
        (b"POST", b"/dns-query", b"", WIRE, 415),
    ],
)
def test_requests(method: bytes, target: bytes, media_type: bytes, body: bytes, expected: bytes | int) -> None:
    assert IT.query(method, target, media_type, body) == expected


@given(st.binary(max_size=200))
def test_what_is_written_is_read(octets: bytes) -> None:
    assert decoded(urlsafe_b64encode(octets).rstrip(b"=")) == octets


@given(st.binary(max_size=40))
def test_whatever_is_written_is_read_or_refused(text: bytes) -> None:
    found = decoded(text)
    if found is not None:
        assert set(text) <= set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=")


def reply(rcode: int = 0, *, answer: tuple[str, ...] = (), authority: tuple[str, ...] = ()) -> bytes:
    message = dns.message.make_response(dns.message.make_query("www.example.test", "A", id=7))
    message.set_rcode(dns.rcode.Rcode.make(rcode))
    message.answer = [dns.rrset.from_text(*line.split(maxsplit=4)) for line in answer]
    message.authority = [dns.rrset.from_text(*line.split(maxsplit=4)) for line in authority]
    return message.to_wire()


SOA = "example.test. 900 IN SOA a. b. 1 2 3 4 60"


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (reply(answer=("www.example.test. 300 IN CNAME x.test.", "x.test. 20 IN A 192.0.2.1")), 20),
        (reply(answer=("www.example.test. 300 IN A 192.0.2.1",), authority=("test. 5 IN NS a.test.",)), 300),
        (reply(answer=("www.example.test. 3000000000 IN A 192.0.2.1",)), 0),
        (reply(3, authority=(SOA,)), 60),
        (reply(3, authority=("example.test. 30 IN SOA a. b. 1 2 3 4 60",)), 30),
        (reply(3), 0),
        (reply(2, authority=(SOA,)), 0),
        (reply(5), 0),
        (b"", 0),
        (reply(answer=("www.example.test. 300 IN A 192.0.2.1",))[:-3], 0),
    ],
)
def test_how_long_an_answer_may_be_kept(message: bytes, seconds: int) -> None:
    assert freshness(message) == seconds
