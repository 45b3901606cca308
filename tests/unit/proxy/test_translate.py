from __future__ import annotations

from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from sumun.content.llm_request import LlmRequest
from sumun.model.request import UNKNOWN
from sumun.proxy.translate import (
    Problem,
    access_requests,
    asked,
    authorities,
    client_address,
    declared_size,
    plain_path,
)


def flow(
    *,
    target: str = "",
    tunnel: str = "",
    sni: str | None = None,
    hosts: tuple[str, ...] = (),
    version: str = "HTTP/1.1",
    authority: str = "",
    more: tuple[tuple[bytes, bytes], ...] = (),
    method: str = "GET",
    path: str = "/",
) -> http.HTTPFlow:
    made = tflow.tflow()
    made.client_conn.peername = ("10.0.0.1", 5000)
    made.client_conn.sni = sni
    made.server_conn = tflow.tserver_conn()
    made.server_conn.state = type(made.server_conn.state)(0)
    made.server_conn.address = (tunnel, 443) if tunnel else None
    fields = [(b"host", host.encode()) for host in hosts]
    made.request = http.Request.make(method, "http://unused.test/")
    made.request.headers = http.Headers([*fields, *more])
    made.request.data.host, made.request.data.port = tunnel or target, 443
    made.request.data.authority = authority.encode()
    made.request.data.http_version = version.encode()
    made.request.data.path = path.encode()
    return made


def told(**parts: Any) -> tuple[list[str], Problem | None]:
    said = authorities(flow(**parts))
    return [str(host) for host in said.hosts], said.problem


def test_one_name_said_in_every_place_is_one_host() -> None:
    assert told(tunnel="a.test", sni="a.test", hosts=("A.Test:443",)) == (["a.test"], None)
    assert told(target="a.test", hosts=("a.test:8080",)) == (["a.test"], None)
    assert told(tunnel="a.test", sni="a.test", authority="a.test", version="HTTP/2.0") == (["a.test"], None)


@pytest.mark.parametrize(
    ("parts", "hosts"),
    [
        pytest.param({"target": "a.test", "hosts": ("b.test",)}, ["a.test", "b.test"], id="target and Host"),
        pytest.param({"target": "a.test", "hosts": ("a.test", "a.test")}, ["a.test"], id="Host twice"),
        pytest.param({"target": "192.0.2.1", "hosts": ("b.test",)}, ["192.0.2.1", "b.test"], id="literal and Host"),
        pytest.param(
            {"tunnel": "a.test", "sni": "a.test", "hosts": ("b.test",)}, ["a.test", "b.test"], id="tunnel and Host"
        ),
        pytest.param(
            {"tunnel": "192.0.2.1", "sni": "a.test", "hosts": ("b.test",)}, ["192.0.2.1", "a.test", "b.test"],
            id="server name and Host",
        ),
        pytest.param(
            {"tunnel": "a.test", "authority": "a.test", "hosts": ("b.test",), "version": "HTTP/2.0"},
            ["a.test", "b.test"], id="authority and Host",
        ),
    ],
)  # fmt: skip
def test_names_that_differ_are_all_told_and_refused(parts: dict[str, Any], hosts: list[str]) -> None:
    assert told(**parts) == (hosts, Problem.HOST_MISMATCH)


def test_an_http2_stream_for_another_host_is_misdirected() -> None:
    said = told(tunnel="a.test", sni="a.test", authority="b.test", version="HTTP/2.0")
    assert said == (["a.test", "b.test"], Problem.MISDIRECTED)


def test_a_tunnel_to_an_address_may_carry_one_name() -> None:
    assert told(tunnel="192.0.2.1", hosts=("a.test",)) == (["192.0.2.1", "a.test"], None)
    assert told(tunnel="2001:db8::1", hosts=("[2001:db8::1]",)) == (["2001:db8::1"], None)


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"more": ((b"x", b"a\x00b"),)}, id="NUL in a value"),
        pytest.param({"more": ((b"x", b"a\nb"),)}, id="LF in a value"),
        pytest.param({"more": ((b"x\r", b"a"),)}, id="CR in a name"),
        pytest.param({"path": "/a\rb"}, id="CR in the path"),
        pytest.param({"method": "PRI"}, id="preface of HTTP/2"),
        pytest.param({"hosts": ("a b",)}, id="Host is no name"),
        pytest.param({"hosts": ("",), "target": "a..test"}, id="target is no name"),
    ],
)
def test_malformed_requests(parts: dict[str, Any]) -> None:
    assert told(**{"target": "a.test", **parts})[1] is Problem.MALFORMED


def test_each_name_is_asked_about() -> None:
    made = flow(target="a.test", hosts=("b.test",), method="POST", path="/v1/../v1//chat?q=secret")
    said = authorities(made)
    questions = access_requests(made, client_address(made), said.hosts, LlmRequest("m", False))
    assert [str(q.name) for q in questions] == ["a.test", "b.test"]
    assert (questions[0].path, questions[0].method, questions[0].model) == ("/v1/chat", "POST", "m")
    assert (questions[0].user, questions[0].content) == (None, UNKNOWN)
    nameless = access_requests(made, client_address(made), (), LlmRequest(None, False))
    assert [q.name for q in nameless] == [None]


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("/", "/"), ("", "/"), ("*", "/*"), ("/a/b", "/a/b"), ("/a/", "/a/"), ("/a//b", "/a/b"), ("/a/./b", "/a/b"),
        ("/a/../b", "/b"), ("/../../a", "/a"), ("/%61i/x", "/ai/x"), ("/a%2f..%2fb", "/b"), ("/a\\..\\b", "/b"),
        ("/a?b=/../c", "/a"), ("/a#b", "/a"), ("/a/..", "/"), ("/a/b/..", "/a/"),
    ],
)  # fmt: skip
def test_paths_are_read_as_a_server_would(raw: str, plain: str) -> None:
    assert plain_path(raw) == plain


def test_a_form_is_chosen_by_the_fields_that_pages_want() -> None:
    made = flow(target="a.test", hosts=("a.test",), path="/p?q=1", more=((b"accept", b"text/html"), (b"origin", b"o")))
    wanted = asked(made)
    assert (wanted.host, wanted.path, wanted.accept, wanted.origin) == ("a.test", "/p", "text/html", "o")


@pytest.mark.parametrize(
    ("fields", "version", "method", "size"),
    [
        ((), "HTTP/1.1", "POST", 0),
        (((b"content-length", b"12"),), "HTTP/1.1", "POST", 12),
        (((b"transfer-encoding", b"chunked"),), "HTTP/1.1", "POST", None),
        ((), "HTTP/2.0", "POST", None),
        ((), "HTTP/2.0", "GET", 0),
        (((b"content-length", "１".encode()),), "HTTP/1.1", "POST", 0),
    ],
)
def test_declared_sizes(fields: Any, version: str, method: str, size: int | None) -> None:
    assert declared_size(flow(more=fields, version=version, method=method).request) == size
