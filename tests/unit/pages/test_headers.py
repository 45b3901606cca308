"""Guards against header injection, caching, framing and cross-site reading."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.logo import Logo
from sumun.pages.render import Asked
from tests.unit.pages.cases import BROWSER, INCIDENT, ORGANISATION, answer, asked, fields

HOSTILE = st.text(st.characters(categories=None), max_size=40) | st.sampled_from(
    ["x\r\nset-cookie: a=b", "text/html\nx: y", "https://a.example\r\n\r\n<script>", "\x00", "\udcff", "한국어"]
)
ASKED = st.builds(
    Asked, HOSTILE, HOSTILE, HOSTILE | st.just("OPTIONS"), HOSTILE | st.just(BROWSER), HOSTILE, HOSTILE | st.just(""),
    HOSTILE | st.just(""), HOSTILE | st.sampled_from(["", "application/grpc"]), HOSTILE, HOSTILE, HOSTILE,
)  # fmt: skip


@given(ASKED, HOSTILE)
def test_no_request_can_end_a_header_line(what: Asked, incident: str) -> None:
    for name, value in answer(what, incident=incident).headers:
        assert re.fullmatch(r"[a-z-]+", name)
        assert re.fullmatch(r"[\x20-\x7e]*", value)


@pytest.mark.parametrize("accept", [BROWSER, "application/json", "text/plain", "image/png"])
def test_every_answer_is_kept_by_nobody_and_taken_for_nothing_else(accept: str) -> None:
    found = fields(answer(asked(accept=accept)))
    assert found["cache-control"] == "no-store"
    assert found["x-content-type-options"] == "nosniff"
    assert found["referrer-policy"] == "no-referrer"
    assert found["x-robots-tag"] == "noindex"
    assert found["x-sumun-incident"] == INCIDENT
    assert {"Accept", "Accept-Language"} <= set(found["vary"].split(", "))


def test_a_page_says_its_language_and_stands_in_no_frame() -> None:
    found = fields(answer(asked(accept=BROWSER, accept_language="ko-KR")))
    assert found["content-type"] == "text/html; charset=utf-8"
    assert found["content-language"] == "ko"
    assert found["x-frame-options"] == "DENY"
    policy = dict(part.split(" ", 1) for part in found["content-security-policy"].split("; "))
    hashed = {name: policy.pop(name) for name in ("style-src", "script-src")}
    assert policy == dict.fromkeys(("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'")
    assert all(re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", value) for value in hashed.values())


def test_only_a_page_with_a_logo_may_show_one() -> None:
    policy = fields(answer(asked(accept=BROWSER), organisation=replace(ORGANISATION, logo=Logo.of("image/png", b"x"))))
    assert "; img-src data:; " in policy["content-security-policy"]


def test_a_program_is_told_not_to_try_again() -> None:
    assert fields(answer(asked(accept="application/json")))["x-should-retry"] == "false"


def test_a_script_may_read_the_answer_from_its_own_origin() -> None:
    found = fields(answer(asked(accept="*/*", fetch_dest="empty", origin="https://app.example:8443")))
    assert found["access-control-allow-origin"] == "https://app.example:8443"
    assert found["access-control-allow-credentials"] == "true"
    assert "Origin" in found["vary"]


@pytest.mark.parametrize(
    "origin", ["", "*", "https://a.example/path", "https://a b", "https://a.example, https://b", "x"]
)
def test_what_is_no_origin_is_not_let_in(origin: str) -> None:
    assert "access-control-allow-origin" not in fields(answer(asked(accept="*/*", origin=origin)))


def test_a_preflight_passes_so_that_the_request_can_be_answered() -> None:
    page = answer(
        asked(method="OPTIONS", origin="https://a.example", preflight="POST", preflight_headers="x-a,content-type")
    )
    found = fields(page)
    assert (page.status, page.body) == (204, b"")
    assert "POST" in found["access-control-allow-methods"]
    assert found["access-control-allow-headers"] == "x-a,content-type"


def test_a_preflight_naming_nonsense_is_answered_with_the_usual_names() -> None:
    page = answer(
        asked(method="OPTIONS", origin="https://a.example", preflight="POST", preflight_headers="a b\r\nc: d")
    )
    assert fields(page)["access-control-allow-headers"] == "authorization, content-type"
