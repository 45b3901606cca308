from __future__ import annotations

from ipaddress import ip_address

import dns.edns
import dns.message
import dns.rcode
import pytest

from sumun.sinkhole.cookies import Cookies, siphash
from sumun.sinkhole.outcome import Answer
from sumun.sinkhole.responder import Responder
from tests.support.builders import NOON, three_segments
from tests.unit.sinkhole.asking import PAGES, answered, ask, forwarded, query

SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
HALF = bytes.fromhex("2464c4abcf10c957")


def test_the_hash_is_siphash_2_4() -> None:
    """The vector of the paper's appendix A."""
    assert siphash(bytes(range(16)), bytes(range(15))).hex() == "e545be4961ca29a1"


def test_a_cookie_is_as_rfc_9018_has_it() -> None:
    """Appendix A.1: client 198.51.100.100 at 1559731985."""
    made = Cookies(SECRET).answer(HALF, ip_address("198.51.100.100"), 1559731985)
    assert made.hex() == "2464c4abcf10c957010000005cf79f111f8130c3eee29480"


@pytest.mark.parametrize(
    ("seconds", "known"), [(-301, False), (-300, True), (0, True), (3600, True), (3601, False)], ids=str
)
def test_a_cookie_is_known_for_an_hour(seconds: int, known: bool) -> None:
    cookies, client = Cookies(SECRET), ip_address("198.51.100.100")
    made = cookies.answer(HALF, client, 1559731985)
    assert cookies.knows(made, client, 1559731985 + seconds) is known
    assert not cookies.knows(made, ip_address("198.51.100.101"), 1559731985)
    assert (cookies.answer(made, client, 1559731985 + 1799) == made) is True
    assert (cookies.answer(made, client, 1559731985 + 1800) == made) is False


def cookie_of(message: dns.message.Message) -> bytes:
    (cookie,) = (option for option in message.options if isinstance(option, dns.edns.CookieOption))
    return cookie.client + cookie.server


def with_cookie(name: str, cookie: bytes) -> bytes:
    return query(name, use_edns=0, options=[dns.edns.GenericOption(10, cookie)])


@pytest.mark.parametrize("name", ["chat.deepseek.com", "www.example.test"])
def test_every_answer_brings_the_cookie(name: str) -> None:
    it = Responder(policy=three_segments, pages=PAGES, secret=SECRET)
    wire = with_cookie(name, HALF)
    response = ask(it, wire, "127.0.0.3")
    if not isinstance(response, Answer):
        upstream = dns.message.from_wire(response.query)  # type: ignore[union-attr]  # a Forward
        assert not upstream.options
        response = it.on_reply(forwarded(response), dns.message.make_response(upstream).to_wire(), at=NOON)
    cookie = cookie_of(answered(wire, response))
    assert len(cookie) == 24
    assert Cookies(SECRET).knows(cookie, ip_address("127.0.0.3"), NOON.timestamp())
    again = with_cookie(name, cookie)
    second = ask(it, again, "127.0.0.3")
    assert not isinstance(second, Answer) or cookie_of(answered(again, second)) == cookie


@pytest.mark.parametrize("length", [1, 7, 9, 15, 41])
def test_a_cookie_of_no_length_is_a_format_error(length: int) -> None:
    wire = with_cookie("chat.deepseek.com", bytes(length))
    it = Responder(policy=three_segments, pages=PAGES)
    assert answered(wire, ask(it, wire, "127.0.0.3")).rcode() == dns.rcode.FORMERR


def test_an_answer_with_a_cookie_is_never_ready_for_others() -> None:
    it = Responder(policy=three_segments, pages=PAGES)
    wire = with_cookie("chat.deepseek.com", HALF)
    assert isinstance(ask(it, wire, "127.0.0.3"), Answer)
    assert it.ready(wire, ip_address("127.0.0.3"), "udp", at=NOON) is None
