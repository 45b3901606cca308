"""The whole way from decision to bytes. Golden files are renewed with ``UPDATE_GOLDEN=1``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.organisation import Organisation
from sumun.model.rule import Action
from sumun.pages.render import Asked, Failure, Page
from tests.unit.pages.cases import BLOCKED, BROWSER, INCIDENT, ORGANISATION, answer, asked, data, failure, fields

GOLDEN = Path(__file__).parents[2] / "golden" / "pages"
UPDATE = bool(os.environ.get("UPDATE_GOLDEN"))
CASES: dict[str, Page] = {
    f"{action}-{language}.html": answer(
        asked(accept=BROWSER, accept_language=language), replace(BLOCKED, action=Action(action))
    )
    for action in ("block", "warn", "justify")
    for language in ("en", "ko")
} | {
    "block-neutral.json": answer(asked(accept="application/json")),
    "block-openai.json": answer(asked("api.deepseek.com", "/v1/chat/completions", accept="application/json")),
    "block-anthropic.json": answer(asked("api.anthropic.com", "/v1/messages", accept="application/json")),
    "block-ko.txt": answer(asked(accept="text/plain", accept_language="ko")),
    "filter-failure-en.html": failure(asked(accept=BROWSER), Failure.FILTER),
}


@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_that_were_read_and_agreed(name: str) -> None:
    path, page = GOLDEN / name, CASES[name]
    head = "".join(f"{key}: {value}\n" for key, value in page.headers)
    found = f"{page.status}\n{head}\n".encode() + page.body
    if UPDATE:
        path.write_bytes(found)
    assert found == path.read_bytes()


def test_no_golden_file_is_left_over() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(CASES)


def test_a_json_error_keeps_the_organisation_from_the_scripts_of_websites() -> None:
    """A page of the blocked service, or of any other site, reads what its own fetch gets."""
    ours = answer(asked(accept="application/json")).body.decode()
    theirs = answer(asked(accept="application/json", fetch_dest="empty", origin="https://evil.example"))
    assert data(theirs)["error"]["incident"] == INCIDENT
    assert "is not available" in data(theirs)["error"]["message"]
    for secret in ("help@ministry.example", "military-use", "no-generative-ai", "outside our control", "notice 2025"):
        assert secret in ours
        assert secret not in theirs.body.decode()


def test_a_head_request_gets_the_headers_of_the_page_and_no_body() -> None:
    page, head = (answer(asked(method=method, accept=BROWSER)) for method in ("GET", "HEAD"))
    assert (head.status, head.headers, head.body) == (page.status, page.headers, b"")


@pytest.mark.parametrize("dest", ["image", "font", "script", "style"])
def test_an_asset_is_empty(dest: str) -> None:
    page = answer(asked(accept="*/*", fetch_dest=dest))
    assert (page.status, page.body) == (403, b"")


def test_a_websocket_is_refused_in_a_few_words() -> None:
    page = answer(asked(upgrade="websocket", origin="https://chat.deepseek.com"))
    assert page.status == 403
    assert fields(page)["content-type"] == "text/plain; charset=utf-8"
    assert b"help@ministry.example" not in page.body
    assert len(page.body) < 500


def test_grpc_gets_permission_denied_in_headers_alone() -> None:
    page = answer(asked(content_type="application/grpc", method="POST", accept_language="ko"))
    found = fields(page)
    assert (page.status, page.body, found["grpc-status"]) == (403, b"", "7")
    assert found["grpc-message"].startswith("%EC%9D%B4 %EB%84%A4")


@pytest.mark.parametrize("kind", Failure)
def test_an_unreachable_site_may_be_tried_again_and_a_refusal_may_not(kind: Failure) -> None:
    found = fields(failure(asked(accept="application/json"), kind))
    assert ("x-should-retry" in found) is (kind not in (Failure.UPSTREAM_CERTIFICATE, Failure.UPSTREAM_UNREACHABLE))


def test_without_organisation_there_is_no_empty_header() -> None:
    body = answer(asked(accept=BROWSER), organisation=Organisation()).body
    assert b"<header>" in CASES["block-en.html"].body
    assert b"<header>" not in body


@given(
    st.builds(Asked, *[st.text(st.characters(categories=None), max_size=30)] * 11),
    st.sampled_from(Action), st.text(max_size=30),
)  # fmt: skip
def test_nothing_that_is_asked_makes_rendering_fail_or_pass(what: Asked, action: Action, contact: str) -> None:
    page = answer(what, replace(BLOCKED, action=action), organisation=replace(ORGANISATION, contact=contact))
    assert page.status == 403
    assert "\ufffe" not in page.body.decode()  # and it is UTF-8
