"""Guards that a program gets the error of the API it called."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sumun.model.service import Pattern, Service, ServiceDomain
from sumun.pages.api import (
    AMAZON,
    ANTHROPIC,
    GOOGLE,
    NEUTRAL,
    OLLAMA,
    OPENAI,
    SHAPES,
    Shape,
    api_error,
    calls_api,
    shape_of,
)
from sumun.pages.asked import Failure
from sumun.pages.sentences import message
from sumun.pages.story import Case, tell_failure
from tests.support.builders import DEEPSEEK, NOON, service
from tests.unit.pages.cases import INCIDENT, ORGANISATION, asked, told

LLM_API = service("some-api", "api.some.example", category="llm-api")
BEDROCK = "bedrock-runtime.eu-west-1.amazonaws.com"
GEMINI = "generativelanguage.googleapis.com"


@pytest.mark.parametrize(
    ("host", "path", "of", "shape"),
    [
        pytest.param("api.openai.com", "/v1/chat/completions", None, OPENAI, id="OpenAI chat"),
        pytest.param("api.openai.com", "/v1/responses", None, OPENAI, id="OpenAI responses"),
        pytest.param("api.openai.com", "/v1/responses/resp_1", None, OPENAI, id="OpenAI one response"),
        pytest.param("api.openai.com", "/v1/embeddings", None, OPENAI, id="OpenAI embeddings"),
        pytest.param("api.openai.com", "/v1/files", None, OPENAI, id="OpenAI files"),
        pytest.param("api.deepseek.com", "/chat/completions", DEEPSEEK, OPENAI, id="DeepSeek without version"),
        pytest.param("llm.corp.example", "/v1/models", None, OPENAI, id="a copy of OpenAI's API elsewhere"),
        pytest.param("api.some.example", "/anything", LLM_API, OPENAI, id="an LLM API by its category"),
        pytest.param("x.openai.azure.com", "/openai/deployments/gpt/chat/completions", None, OPENAI, id="Azure"),
        pytest.param("x.services.ai.azure.com", "/anthropic/v1/messages", None, ANTHROPIC, id="Anthropic on Azure"),
        pytest.param("api.anthropic.com", "/v1/messages", None, ANTHROPIC, id="Anthropic messages"),
        pytest.param("api.anthropic.com", "/v1/messages/count_tokens", None, ANTHROPIC, id="Anthropic counting"),
        pytest.param("api.anthropic.com", "/v1/files", None, ANTHROPIC, id="Anthropic files"),
        pytest.param("API.Anthropic.com.:443", "/v1/models", None, ANTHROPIC, id="host in another spelling"),
        pytest.param("api.deepseek.com", "/anthropic/v1/messages", DEEPSEEK, ANTHROPIC, id="Anthropic at DeepSeek"),
        pytest.param("evilanthropic.com", "/", None, NEUTRAL, id="not below anthropic.com"),
        pytest.param(GEMINI, "/v1beta/models/gemini-2.5-pro:generateContent", None, GOOGLE, id="Gemini"),
        pytest.param(GEMINI, "/v1beta/models", None, GOOGLE, id="Gemini models"),
        pytest.param(GEMINI, "/v1beta/openai/chat/completions", None, OPENAI, id="OpenAI's API at Gemini"),
        pytest.param(
            "us-central1-aiplatform.googleapis.com", "/v1/projects/p/models/m:rawPredict", None, GOOGLE, id="Vertex"
        ),
        pytest.param(BEDROCK, "/model/deepseek.r1/converse-stream", None, AMAZON, id="Bedrock"),
        pytest.param(BEDROCK, "/", None, AMAZON, id="Bedrock host"),
        pytest.param("ollama.com", "/api/chat", None, OLLAMA, id="Ollama cloud"),
        pytest.param("gpu.corp.example", "/api/generate", None, OLLAMA, id="Ollama in the basement"),
        pytest.param("gpu.corp.example", "/v1/chat/completions", None, OPENAI, id="OpenAI's API at Ollama"),
        pytest.param("chat.deepseek.com", "/api/chat", DEEPSEEK, NEUTRAL, id="another service's own path"),
        pytest.param("chat.deepseek.com", "/api/v0/users", DEEPSEEK, NEUTRAL, id="a web application"),
        pytest.param("", "", None, NEUTRAL, id="nothing known"),
        pytest.param("c.example", "/blog/v1/completions-explained", None, NEUTRAL, id="only looks alike"),
    ],
)
def test_the_shape_is_that_of_the_api_called(host: str, path: str, of: Service | None, shape: Shape) -> None:
    assert shape_of(asked(host, path), of) is shape


def test_openai_sees_message_and_code_where_its_sdk_looks() -> None:
    error = json.loads(api_error(asked("api.openai.com", "/v1/responses"), None, told()).body)["error"]
    assert error["message"] == message(told())
    assert (error["type"], error["code"], error["param"]) == ("permission_denied", "blocked_by_policy", None)
    assert (error["incident"], error["service"], error["segment"]) == (INCIDENT, "deepseek", "military-use")
    assert error["reference"] == "Security notice 2025-02, section 3"


def test_anthropic_gets_a_permission_error() -> None:
    answer = api_error(asked("api.anthropic.com", "/v1/messages"), None, told())
    body = json.loads(answer.body)
    assert (body["type"], body["error"]["type"]) == ("error", "permission_error")
    assert body["error"]["message"] == message(told())
    assert body["request_id"] == dict(answer.headers)["request-id"] == INCIDENT


def test_gemini_gets_a_status_of_google() -> None:
    error = json.loads(api_error(asked(GEMINI, "/v1/models/g:generateContent"), None, told()).body)["error"]
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    assert error["details"][0]["reason"] == "BLOCKED_BY_POLICY"
    assert error["details"][0]["metadata"]["incident"] == INCIDENT


def test_amazon_names_the_exception_in_a_header() -> None:
    answer = api_error(asked(BEDROCK, "/model/m/invoke"), None, told())
    assert dict(answer.headers)["x-amzn-errortype"] == "AccessDeniedException"
    assert json.loads(answer.body)["message"] == message(told())


def test_ollama_gets_its_one_string() -> None:
    assert json.loads(api_error(asked("ollama.com", "/api/chat"), None, told()).body)["error"] == message(told())


def test_anybody_else_gets_a_neutral_error() -> None:
    error = json.loads(api_error(asked(), DEEPSEEK, told()).body)["error"]
    assert error == {
        "code": "blocked_by_policy", "message": message(told()), "incident": INCIDENT, "action": "block",
        "service": "deepseek", "segment": "military-use", "rule": "no-generative-ai",
        "reference": "Security notice 2025-02, section 3", "data_exposed": "none",
    }  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("kind", Failure)
def test_every_shape_can_tell_every_failure(shape: Shape, kind: Failure) -> None:
    story = tell_failure(Case(asked(), ORGANISATION, INCIDENT, NOON), "en", kind)
    assert message(story) in json.dumps(shape.body(story))


def test_a_message_in_korean_stays_readable() -> None:
    assert "이용할 수 없습니다" in api_error(asked(), DEEPSEEK, told(language="ko")).body.decode()


@given(st.text(max_size=80), st.text(max_size=80))
def test_any_host_and_path_give_some_shape(host: str, path: str) -> None:
    assert shape_of(asked(host, path), replace(DEEPSEEK, category="llm-api")) in SHAPES


@pytest.mark.parametrize("path", ["/" + "v1/" * 20_000, "/model/" + "a" * 200_000, ":" * 200_000])
def test_a_long_path_costs_little(path: str) -> None:
    assert shape_of(asked("x." * 100_000, path), None) is NEUTRAL


DEEPSEEK_HOSTS = service("deepseek", "deepseek.com", ServiceDomain(Pattern.parse("api.deepseek.com"), "api"))


@pytest.mark.parametrize(
    ("host", "path", "calls"),
    [
        ("chat.deepseek.com", "/", False), ("api.deepseek.com", "/", True), ("API.deepseek.com:443", "/", True),
        ("chat.deepseek.com", "/v1/chat/completions", True), ("api.openai.com", "/", True),
        ("deepseek.com", "/chat", False),
    ],
)  # fmt: skip
def test_an_api_is_known_by_path_host_or_catalogue(host: str, path: str, *, calls: bool) -> None:
    assert calls_api(asked(host=host, path=path), DEEPSEEK_HOSTS) is calls
