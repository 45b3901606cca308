"""Our messages are mitmproxy's: the same data, and the same to whoever asks for a field."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.net.http import http1

from sumun.proxy import messages
from sumun.proxy.hygiene import head_flaw
from tests.support.heads import head, others, stopped

NAMES = st.sampled_from(["Host", "HOST", "Accept", "accept", "X-a", "Cookie", "Connection"])
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=12)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


def theirs(data: bytes) -> http.Request:
    return http1.read_request_head(data[: data.index(b"\r\n\r\n")].split(b"\r\n"))


def ours(data: bytes) -> http.Request:
    return messages.request(data[: data.index(b"\r\n\r\n") + 4])


def state(message: http.Request | http.Response) -> dict[str, Any]:
    kept: dict[str, Any] = message.get_state()  # type: ignore[no-untyped-call]  # mitmproxy leaves it so
    return {**kept, "timestamp_start": 0, "timestamp_end": 0}


def test_every_head_is_read_alike() -> None:
    read = 0
    for data in (*stopped(), *others()):
        if head_flaw(data[: data.index(b"\r\n\r\n") + 4]):
            continue
        try:
            expected = theirs(data)
        except ValueError:
            with pytest.raises(ValueError, match="line"):
                ours(data)
            continue
        assert state(ours(data)) == state(expected)
        read += 1
    assert read > 180


@given(FIELDS, NAMES, VALUES)
def test_fields_are_found_and_changed_alike(fields: list[tuple[str, str]], name: str, value: str) -> None:
    data = head("GET", "/", *(f"{name}: {value}" for name, value in fields))
    pair = (ours(data), theirs(data))

    def both(do: Any) -> None:
        here, there = (do(message) for message in pair)
        assert here == there
        assert pair[0].headers.fields == pair[1].headers.fields

    both(lambda m: [m.headers.get(n) for n in (name, name.lower(), "absent")])
    both(lambda m: [m.headers.get_all(n) for n in (name, name.encode(), "absent")])
    both(lambda m: (name in m.headers, b"host" in m.headers, len(m.headers), list(m.headers)))
    both(lambda m: m.headers.pop(name, None))
    both(lambda m: name in m.headers)
    both(lambda m: m.headers.insert(0, name, value))
    both(lambda m: m.headers.get_all(name))
    both(lambda m: m.headers.__setitem__(name, "again"))
    both(lambda m: m.headers.add(name, "once more"))
    both(lambda m: (m.headers[name], m.pretty_host, m.host_header))
    both(lambda m: m.headers.copy().fields)
    both(lambda m: bytes(m.headers))


def test_nobody_can_change_the_values_that_are_kept() -> None:
    message = ours(head("GET", "/", "A: b"))
    message.headers.get_all("a").append("c")
    assert message.headers.get_all("A") == ["b"]


def test_a_request_line_that_cannot_be_read_is_said_to_be_so_each_time() -> None:
    data = b"GET http://[/ HTTP/1.1\r\nHost: a\r\n\r\n"
    for _ in range(2):
        with pytest.raises(ValueError, match="request line"):
            ours(data)


def test_a_response_is_the_one_that_mitmproxy_makes() -> None:
    fields = ((b"content-type", b"text/html"), (b"content-length", b"2"))
    made = messages.response(403, b"Forbidden", fields, b"no")
    expected = http.Response(b"HTTP/1.1", 403, b"Forbidden", http.Headers(fields), b"no", None, 0.0, 0.0)
    assert state(made) == state(expected)
    assert http1.assemble_response(made) == http1.assemble_response(expected)
    assert state(made.copy()) == state(expected)
    with suppress(KeyError):
        made.headers["absent"]
    assert made.headers["Content-Type"] == "text/html"
