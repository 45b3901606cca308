from __future__ import annotations

import pytest

from sumun.content.llm_api import is_one, may_be
from sumun.content.llm_request import from_whole

JSON = "application/json; charset=utf-8"
CHAT = b'{"model": "some-model", "messages": [{"role": "user", "content": "x"}]}'


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/api/v1/chat/completions",
        "/openai/v1/responses",
        "/v1/messages",
        "/v1/completions/",
        "/api/chat",
        "/api/generate",
    ],
)
def test_the_shape_is_known(path: str) -> None:
    assert may_be("POST", path, JSON)
    assert is_one("POST", path, JSON, from_whole("POST", path, JSON, CHAT))
    assert not is_one("POST", path, JSON, from_whole("POST", path, JSON, b'{"text": "x"}')), "no model, no LLM API"


def test_gemini_names_its_model_in_the_path() -> None:
    path = "/v1beta/models/some-model:streamGenerateContent"
    assert is_one("POST", path, JSON, from_whole("POST", path, JSON, b'{"contents": []}'))


@pytest.mark.parametrize(
    ("method", "path", "type_"),
    [
        ("GET", "/v1/chat/completions", JSON),
        ("POST", "/v1/chat/completions", "text/html"),
        ("POST", "/v1/messages/42", JSON),
        ("POST", "/api/chats", JSON),
        ("POST", "/", JSON),
    ],
)
def test_other_requests_are_not(method: str, path: str, type_: str) -> None:
    assert not may_be(method, path, type_)
