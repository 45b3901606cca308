"""HTTP/2 against a client that is another implementation (h2), and against frames that no client sends."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sumun.sinkhole.https.frames import END_HEADERS, END_STREAM, PADDED, PREFACE, PRIORITY, Code, Kind, frame
from sumun.sinkhole.https.http2 import MAX_STREAMS, Http2
from sumun.sinkhole.https.stream import Request

FIELDS = [(":method", "GET"), (":scheme", "https"), (":authority", "dns.example"), (":path", "/q")]
POST = [(":method", "POST"), *FIELDS[1:], ("content-type", "application/dns-message")]
BLOCK = b"\x82\x87\x84"
"""GET, https, /: all in the static table."""
OK, NO = b"\x88\x0f\x0d\x01\x33", b"\x8d"


def path_block(path: bytes, method: bytes = b"\x82") -> bytes:
    """GET, https and a path that does not go into the table."""
    return method + b"\x87\x04" + bytes((len(path),)) + path


class AtOnce:
    """Knows what to say to all paths but ``/unknown``, where a request is a GET."""

    def __init__(self, server: Carried, body: bytes = b"ready") -> None:
        self.paths: list[bytes] = []
        self._asked, self._body = server.asked, body
        server.it = Http2(server, self.request, max_body=4096, at_once=self)
        server.it.received(PREFACE + frame(Kind.SETTINGS, 0, 0))

    def request(self, request: Request) -> bool:
        self._asked.append(request)
        return request.fields[b":method"] == b"GET"

    def __call__(self, path: bytes) -> tuple[bytes, bytes] | None:
        self.paths.append(path)
        return None if path == b"/unknown" else (OK, self._body)


@dataclass
class Carried:
    """A server, what it said and what it was asked."""

    out: bytearray = field(default_factory=bytearray)
    asked: list[Request] = field(default_factory=list)
    closed: bool = False
    full: bool = False

    def __post_init__(self) -> None:
        self.it = Http2(self, self.asked.append, max_body=4096)

    def send(self, octets: bytes) -> bool:
        self.out += octets
        return not self.closed

    def close(self) -> None:
        self.closed = True

    def said(self) -> bytes:
        out, self.out = bytes(self.out), bytearray()
        return out

    def last(self) -> tuple[int, Code]:
        """Kind and code of the frame that was said last: RST_STREAM or GOAWAY."""
        return self.out[-(4 + 9) + 3] if self.out[-13 + 3] == Kind.RST_STREAM else self.out[-17 + 3], Code(
            int.from_bytes(self.out[-4:])
        )


class Client:
    """h2 on the other side."""

    def __init__(self) -> None:
        self.server = Carried()
        self.it = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.it.initiate_connection()
        self.events: list[h2.events.Event] = []
        self.exchange()

    def exchange(self) -> None:
        for _ in range(50):
            data = self.it.data_to_send()
            self.server.it.received(data)
            back = self.server.said()
            if not data and not back:
                return
            for event in self.it.receive_data(back):
                self.events.append(event)
                if isinstance(event, h2.events.DataReceived):
                    self.it.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def get(self, *, end: bool = True, fields: list[tuple[str, str]] = FIELDS) -> int:
        stream = self.it.get_next_available_stream_id()
        self.it.send_headers(stream, fields, end_stream=end)
        return stream

    def bodies(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for event in self.events:
            if isinstance(event, h2.events.DataReceived):
                found[event.stream_id] = found.get(event.stream_id, b"") + event.data
        return found

    def ended(self) -> set[int]:
        return {event.stream_id for event in self.events if isinstance(event, h2.events.StreamEnded)}


def test_requests_are_answered_in_any_order() -> None:
    client = Client()
    streams = [client.get() for _ in range(10)]
    client.exchange()
    assert [request.stream for request in client.server.asked] == streams
    for stream in reversed(streams):
        assert client.server.it.respond(stream, OK, b"%03d" % stream)
    client.exchange()
    assert client.bodies() == {stream: b"%03d" % stream for stream in streams}
    assert client.ended() == set(streams)


def test_a_body_in_pieces_and_trailers() -> None:
    client = Client()
    stream = client.get(end=False, fields=POST)
    client.it.send_data(stream, b"a" * 20, pad_length=7)
    client.it.send_data(stream, b"b" * 30)
    client.it.send_headers(stream, [("x-trailer", "1")], end_stream=True)
    client.exchange()
    (request,) = client.server.asked
    assert request.body == b"a" * 20 + b"b" * 30
    assert request.fields[b"content-type"] == b"application/dns-message"


def test_long_fields_come_in_several_frames() -> None:
    client = Client()
    client.it.max_outbound_frame_size = 50
    client.get(fields=[*FIELDS, ("user-agent", "x" * 900)])
    client.exchange()
    assert client.server.asked[0].fields[b"user-agent"] == b"x" * 900


@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=6), st.sampled_from([0, 2_000, 16_384, 70_000]))
@settings(max_examples=40, deadline=None)
def test_answers_keep_to_the_windows_of_the_client(sizes: list[int], window: int) -> None:
    client = Client()
    client.it.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
    client.exchange()
    streams = [client.get() for _ in sizes]
    client.exchange()
    for stream, size in zip(streams, sizes, strict=True):
        client.server.it.respond(stream, b"\x88", bytes(size))
    client.exchange()
    if not window:
        assert not client.bodies()
        client.it.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
        client.exchange()
    assert {stream: len(body) for stream, body in client.bodies().items()} == dict(zip(streams, sizes, strict=True))
    assert client.ended() == set(streams)


def test_too_large_a_body_is_answered_before_its_end() -> None:
    client = Client()
    stream = client.get(end=False, fields=POST)
    client.it.send_data(stream, bytes(5000))
    client.exchange()
    (request,) = client.server.asked
    assert len(request.body) > 4096
    client.server.it.refuse(stream, NO)
    client.exchange()
    assert stream in client.ended()
    client.it.reset_stream(stream)
    client.get()
    client.exchange()
    assert len(client.server.asked) == 2  # the connection goes on


def test_bodies_on_and_on_keep_the_window_open() -> None:
    client = Client()
    for _ in range(60):
        stream = client.get(end=False, fields=POST)
        client.it.send_data(stream, bytes(4000), end_stream=True)
        client.exchange()
        client.server.it.respond(stream, OK, b"yes")
    client.exchange()
    assert len(client.ended()) == 60


def test_an_answer_to_a_stream_that_was_reset_is_not_sent() -> None:
    client = Client()
    stream = client.get()
    client.exchange()
    client.it.reset_stream(stream)
    client.exchange()
    assert client.server.it.respond(stream, OK, b"yes") is False


def test_more_requests_than_agreed_are_refused_one_by_one() -> None:
    server = Carried()
    server.it.received(PREFACE + frame(Kind.SETTINGS, 0, 0))
    for n in range(MAX_STREAMS + 1):
        server.it.received(frame(Kind.HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, BLOCK))
    assert len(server.asked) == MAX_STREAMS
    assert server.last() == (Kind.RST_STREAM, Code.REFUSED_STREAM)
    assert not server.closed


def test_what_cannot_be_taken_up_now_waits() -> None:
    server = Carried()
    server.it.received(PREFACE + frame(Kind.SETTINGS, 0, 0))
    server.full = True
    server.it.received(frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, BLOCK))
    assert not server.asked
    server.full = False
    server.it.proceed()
    assert len(server.asked) == 1


def whole(stream: int, block: bytes) -> bytes:
    return frame(Kind.HEADERS, END_HEADERS | END_STREAM, stream, block)


def test_requests_that_differ_in_the_path_only_are_answered_at_once() -> None:
    server = Carried()
    ready = AtOnce(server)
    server.it.received(whole(1, path_block(b"/a")) + whole(3, path_block(b"/b")))
    assert [request.fields[b":path"] for request in server.asked] == [b"/a"]
    assert ready.paths == [b"/b"]
    assert server.out.endswith(frame(Kind.HEADERS, END_HEADERS, 3, OK) + frame(Kind.DATA, END_STREAM, 3, b"ready"))
    server.it.received(whole(5, path_block(b"/unknown")) + whole(7, path_block(b"/c")))
    assert [request.fields[b":path"] for request in server.asked] == [b"/a", b"/unknown"]
    assert ready.paths == [b"/b", b"/unknown", b"/c"]


@pytest.mark.parametrize(
    "sent",
    [
        whole(3, path_block(b"/b", method=b"\x83")),
        whole(3, path_block(b"/b") + b"\x90"),
        frame(Kind.HEADERS, END_HEADERS, 3, path_block(b"/b")),
        # a GET that ends after the fields of a POST were read is no pattern for POST
        frame(Kind.HEADERS, END_HEADERS, 3, path_block(b"/b"))
        + frame(Kind.HEADERS, END_HEADERS, 5, path_block(b"/b", method=b"\x83"))
        + frame(Kind.DATA, END_STREAM, 3)
        + whole(7, path_block(b"/c", method=b"\x83")),
    ],
)
def test_other_requests_are_not_taken_for_such(sent: bytes) -> None:
    server = Carried()
    ready = AtOnce(server)
    server.it.received(whole(1, path_block(b"/a")) + sent)
    assert not ready.paths
    assert not server.closed


@pytest.mark.parametrize("stream", [3, 2, 0])
def test_a_stream_begins_once_however_its_request_is_read(stream: int) -> None:
    server = Carried()
    AtOnce(server)
    server.it.received(whole(1, path_block(b"/a")) + whole(3, path_block(b"/b")) + whole(stream, path_block(b"/c")))
    assert server.closed


def test_what_is_ready_keeps_to_the_windows() -> None:
    server = Carried()
    ready = AtOnce(server, b"x" * 1_000)
    server.it.received(frame(Kind.SETTINGS, 0, 0, b"\0\4" + (300).to_bytes(4)) + whole(1, path_block(b"/a")))
    server.said()
    server.it.received(whole(3, path_block(b"/b")))
    assert server.out.endswith(frame(Kind.DATA, 0, 3, b"x" * 300))
    server.it.received(whole(5, path_block(b"/c")))
    assert ready.paths == [b"/b"]  # whatever is asked now waits its turn
    server.said()
    server.it.received(frame(Kind.WINDOW_UPDATE, 0, 3, (700).to_bytes(4)))
    assert server.said() == frame(Kind.DATA, END_STREAM, 3, b"x" * 700)


def test_farewell_answers_what_was_asked() -> None:
    server = Carried()
    server.it.received(PREFACE + frame(Kind.SETTINGS, 0, 0) + frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, BLOCK))
    server.it.farewell()
    assert server.last() == (Kind.GOAWAY, Code.NO_ERROR)
    assert server.it.respond(1, OK, b"yes")
    assert server.said().endswith(frame(Kind.HEADERS, END_HEADERS, 1, OK) + frame(Kind.DATA, END_STREAM, 1, b"yes"))
    server.it.received(frame(Kind.HEADERS, END_HEADERS | END_STREAM, 3, BLOCK))
    assert len(server.asked) == 1


HEADERS = frame(Kind.HEADERS, END_HEADERS | END_STREAM, 1, BLOCK)
OPEN = frame(Kind.HEADERS, END_HEADERS, 1, BLOCK)
FOUR = bytes(4)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(frame(Kind.HEADERS, END_HEADERS, 2, BLOCK), Code.PROTOCOL_ERROR, id="even stream"),
        pytest.param(frame(Kind.HEADERS, END_HEADERS, 0, BLOCK), Code.PROTOCOL_ERROR, id="headers on none"),
        pytest.param(HEADERS + HEADERS, None, id="stream again"),
        pytest.param(frame(Kind.HEADERS, 0, 1, BLOCK) + HEADERS, Code.PROTOCOL_ERROR, id="headers within headers"),
        pytest.param(frame(Kind.CONTINUATION, END_HEADERS, 1, BLOCK), Code.PROTOCOL_ERROR, id="nothing to continue"),
        pytest.param(
            frame(Kind.HEADERS, 0, 1, BLOCK) + frame(Kind.CONTINUATION, END_HEADERS, 3, b""),
            Code.PROTOCOL_ERROR,
            id="continues another",
        ),
        pytest.param(
            frame(Kind.HEADERS, 0, 1, BLOCK) + frame(Kind.CONTINUATION, 0, 1, bytes(16_000)) * 3,
            Code.ENHANCE_YOUR_CALM,
            id="continues for ever",
        ),
        pytest.param(frame(Kind.HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff"), Code.COMPRESSION_ERROR, id="index"),
        pytest.param(frame(Kind.HEADERS, END_HEADERS | PADDED, 1, b"\x09abc"), Code.PROTOCOL_ERROR, id="padding"),
        pytest.param(frame(Kind.HEADERS, END_HEADERS | PRIORITY, 1, b"abc"), Code.FRAME_SIZE_ERROR, id="priority"),
        pytest.param(frame(Kind.DATA, 0, 0, b"a"), Code.PROTOCOL_ERROR, id="data on none"),
        pytest.param(frame(Kind.DATA, 0, 3, b"a"), Code.PROTOCOL_ERROR, id="data on an idle stream"),
        pytest.param(OPEN + frame(Kind.DATA, 0, 1, bytes(16_384)) * 5, None, id="data beyond the body"),
        pytest.param(b"\x00\x40\x01" + bytes(6) + bytes(16_385), Code.FRAME_SIZE_ERROR, id="large frame"),
        pytest.param(frame(Kind.RST_STREAM, 0, 1, FOUR), Code.PROTOCOL_ERROR, id="reset of an idle stream"),
        pytest.param(OPEN + frame(Kind.RST_STREAM, 0, 1, b""), Code.FRAME_SIZE_ERROR, id="short reset"),
        pytest.param(frame(Kind.SETTINGS, 0, 1), Code.PROTOCOL_ERROR, id="settings of a stream"),
        pytest.param(frame(Kind.SETTINGS, 0, 0, b"abc"), Code.FRAME_SIZE_ERROR, id="half a setting"),
        pytest.param(frame(Kind.SETTINGS, 1, 0, bytes(6)), Code.FRAME_SIZE_ERROR, id="acknowledged with more"),
        pytest.param(frame(Kind.SETTINGS, 0, 0, b"\0\2\0\0\0\7"), Code.PROTOCOL_ERROR, id="push"),
        pytest.param(frame(Kind.SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"), Code.FLOW_CONTROL_ERROR, id="window"),
        pytest.param(frame(Kind.SETTINGS, 0, 0, b"\0\5\0\0\0\1"), Code.PROTOCOL_ERROR, id="frame size"),
        pytest.param(frame(Kind.PING, 0, 0, b"short"), Code.FRAME_SIZE_ERROR, id="short ping"),
        pytest.param(frame(Kind.PING, 0, 1, bytes(8)), Code.PROTOCOL_ERROR, id="ping on a stream"),
        pytest.param(frame(Kind.PRIORITY, 0, 0, bytes(5)), Code.PROTOCOL_ERROR, id="priority of none"),
        pytest.param(frame(Kind.PRIORITY, 0, 1, FOUR), Code.FRAME_SIZE_ERROR, id="short priority"),
        pytest.param(frame(Kind.PUSH_PROMISE, 4, 1, FOUR), Code.PROTOCOL_ERROR, id="push promise"),
        pytest.param(frame(Kind.GOAWAY, 0, 1, bytes(8)), Code.PROTOCOL_ERROR, id="goaway on a stream"),
        pytest.param(frame(Kind.WINDOW_UPDATE, 0, 0, FOUR), Code.PROTOCOL_ERROR, id="no window"),
        pytest.param(frame(Kind.WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), Code.FLOW_CONTROL_ERROR, id="vast window"),
        pytest.param(frame(Kind.WINDOW_UPDATE, 0, 0, b"abc"), Code.FRAME_SIZE_ERROR, id="short window"),
        pytest.param(frame(Kind.PING, 0, 0, bytes(8)) * 500, Code.ENHANCE_YOUR_CALM, id="flood of pings"),
        pytest.param(frame(Kind.SETTINGS, 0, 0) * 500, Code.ENHANCE_YOUR_CALM, id="flood of settings"),
        pytest.param(OPEN + frame(Kind.DATA, 0, 1) * 500, Code.ENHANCE_YOUR_CALM, id="flood of nothing"),
        pytest.param(frame(Kind.PRIORITY, 0, 1, bytes(5)) * 500, Code.ENHANCE_YOUR_CALM, id="flood of priorities"),
        pytest.param(frame(77, 0, 0, b"new") * 10, None, id="unknown frames"),  # type: ignore[arg-type]  # not in Kind
    ],
)
def test_what_no_client_does_ends_the_connection(sent: bytes, code: Code | None) -> None:
    server = Carried()
    server.it.received(PREFACE + frame(Kind.SETTINGS, 0, 0))
    server.it.received(sent)
    assert server.closed is (code is not None)
    if code is not None:
        assert server.last() == (Kind.GOAWAY, code)
        server.it.received(HEADERS)
        assert len(server.asked) <= 1


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", PREFACE + HEADERS], ids=["HTTP/1.1", "no settings"])
def test_another_protocol_is_sent_away(sent: bytes) -> None:
    server = Carried()
    server.it.received(sent)
    assert server.closed


def test_requests_taken_back_at_once_wear_patience_out() -> None:
    """CVE-2023-44487: each costs the client two frames, and a server all the work of an answer."""
    server = Carried()
    server.it.received(PREFACE + frame(Kind.SETTINGS, 0, 0))
    for n in range(1000):
        server.it.received(frame(Kind.HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, BLOCK))
        server.it.received(frame(Kind.RST_STREAM, 0, 2 * n + 1, bytes(4)))
    assert server.closed
    assert server.last() == (Kind.GOAWAY, Code.ENHANCE_YOUR_CALM)
    assert len(server.asked) < 200


def test_windows_that_never_open_hold_no_more_than_so_much() -> None:
    client = Client()
    client.it.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    client.exchange()
    streams = [client.get() for _ in range(40)]
    client.exchange()
    taken = [client.server.it.respond(stream, b"\x88", bytes(60_000)) for stream in streams]
    assert client.server.closed
    assert not all(taken)


def test_two_lengths_that_differ_are_no_request() -> None:
    client = Client()
    stream = client.get(end=False, fields=[*POST, ("content-length", "7")])
    client.server.it.received(client.it.data_to_send() + frame(Kind.DATA, END_STREAM, stream, b"12345678"))
    assert not client.server.asked
    assert client.server.last() == (Kind.RST_STREAM, Code.PROTOCOL_ERROR)


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_frames_of_every_kind_are_borne(chance: random.Random) -> None:
    server = Carried()
    server.it.received(PREFACE + frame(Kind.SETTINGS, 0, 0))
    for _ in range(60):
        payload = chance.choice([b"", BLOCK, chance.randbytes(chance.randrange(30)), bytes(4), bytes(8)])
        kind, stream = chance.choice(list(Kind)), chance.choice([0, 1, 1, 3, 5, chance.randrange(1 << 31)])
        wire = frame(kind, chance.choice([0, 1, 4, 5, 8, 0x20, 0xFF]), stream, payload)
        cut = chance.randrange(len(wire) + 1)
        server.it.received(wire[:cut])
        server.it.received(wire[cut:])
        for request in server.asked[-2:]:
            chance.choice([server.it.refuse, lambda s, h: server.it.respond(s, h, b"yes")])(request.stream, OK)
    assert len(server.asked) <= 60


@given(st.binary(max_size=200), st.booleans())
@settings(deadline=None)
def test_octets_of_any_kind_are_borne(octets: bytes, begun: bool) -> None:
    server = Carried()
    server.it.received((PREFACE + frame(Kind.SETTINGS, 0, 0) if begun else b"") + octets)
