"""The real SDKs raise their own permission error, once, with our message."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import anthropic
import openai
import pytest

from sumun.pages.render import Asked
from tests.unit.pages.cases import INCIDENT, answer

pytestmark = pytest.mark.integration


class Filter(ThreadingHTTPServer):
    """Answers every request as the filter would, and remembers its path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Filter

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.paths.append(self.path)
        page = answer(
            Asked(
                "api.example", self.path.partition("?")[0], self.command, accept=self.headers.get("accept", ""),
                accept_language=self.headers.get("accept-language", ""),
                content_type=self.headers.get("content-type", ""),
            )
        )  # fmt: skip
        self.send_response(page.status)
        for name, value in page.headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(page.body)))
        self.end_headers()
        self.wfile.write(page.body)

    do_GET = do_POST = _answer  # noqa: N815 - the names http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name http.server gives it
        """Keep the test's output quiet."""


@contextmanager
def filtering() -> Iterator[Filter]:
    server = Filter()
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_CHAT: Any = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
OPENAI_CALLS: dict[str, Callable[[openai.OpenAI], object]] = {
    "chat": lambda client: client.chat.completions.create(**_CHAT),
    "chat as a stream": lambda client: client.chat.completions.create(**_CHAT, stream=True),
    "responses": lambda client: client.responses.create(model="m", input="hello"),
    "responses as a stream": lambda client: client.responses.create(model="m", input="hello", stream=True),
    "embeddings": lambda client: client.embeddings.create(model="m", input="hello"),
    "files": lambda client: client.files.create(file=b"hello", purpose="assistants"),
    "models": lambda client: client.models.list(),
}
AZURE_CALLS: dict[str, Callable[[openai.AzureOpenAI], object]] = {
    "chat": lambda client: client.chat.completions.create(**_CHAT),
    "chat as a stream": lambda client: client.chat.completions.create(**_CHAT, stream=True),
    "embeddings": lambda client: client.embeddings.create(model="m", input="hello"),
}
ANTHROPIC_CALLS: dict[str, Callable[[anthropic.Anthropic], object]] = {
    "messages": lambda client: client.messages.create(**_CHAT, max_tokens=8),
    "messages as a stream": lambda client: client.messages.create(**_CHAT, max_tokens=8, stream=True),
    "counting": lambda client: client.messages.count_tokens(**_CHAT),
}


@pytest.mark.parametrize("call", OPENAI_CALLS.values(), ids=OPENAI_CALLS)
def test_openai_raises_permission_denied_at_once(call: Callable[[openai.OpenAI], object]) -> None:
    with (
        filtering() as server,
        openai.OpenAI(api_key="k", base_url=f"{server.url}/v1", max_retries=2) as client,
        pytest.raises(openai.PermissionDeniedError) as raised,
    ):
        call(client)
    assert len(server.paths) == 1
    assert "DeepSeek is not available on this network" in str(raised.value)
    assert "help@ministry.example" in str(raised.value)
    assert raised.value.code == "blocked_by_policy"
    assert raised.value.type == "permission_denied"
    assert raised.value.request_id == INCIDENT


@pytest.mark.parametrize("call", ANTHROPIC_CALLS.values(), ids=ANTHROPIC_CALLS)
def test_anthropic_raises_permission_denied_at_once(call: Callable[[anthropic.Anthropic], object]) -> None:
    with (
        filtering() as server,
        anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=2) as client,
        pytest.raises(anthropic.PermissionDeniedError) as raised,
    ):
        call(client)
    assert len(server.paths) == 1
    assert "DeepSeek is not available on this network" in str(raised.value)
    assert raised.value.type == "permission_error"
    assert raised.value.error_code == "blocked_by_policy"
    assert raised.value.request_id == INCIDENT


def test_the_streaming_helper_of_anthropic_raises_before_the_first_byte() -> None:
    with (
        filtering() as server,
        anthropic.Anthropic(api_key="k", base_url=server.url, max_retries=2) as client,
        pytest.raises(anthropic.PermissionDeniedError),
        client.messages.stream(**_CHAT, max_tokens=8) as stream,
    ):
        stream.until_done()
    assert len(server.paths) == 1


@pytest.mark.parametrize("call", AZURE_CALLS.values(), ids=AZURE_CALLS)
def test_openai_at_azure_raises_permission_denied_at_once(call: Callable[[openai.AzureOpenAI], object]) -> None:
    with (
        filtering() as server,
        openai.AzureOpenAI(api_key="k", azure_endpoint=server.url, api_version="2025-04-01-preview") as client,
        pytest.raises(openai.PermissionDeniedError) as raised,
    ):
        call(client)
    assert len(server.paths) == 1
    assert server.paths[0].startswith("/openai/deployments/m/")
    assert (raised.value.code, raised.value.request_id) == ("blocked_by_policy", INCIDENT)


def test_the_asynchronous_clients_raise_it_too() -> None:
    async def scenario(url: str) -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{url}/v1", max_retries=2) as one:
            with pytest.raises(openai.PermissionDeniedError):
                await one.responses.create(model="m", input="hello", stream=True)
        async with anthropic.AsyncAnthropic(api_key="k", base_url=url, max_retries=2) as other:
            with pytest.raises(anthropic.PermissionDeniedError):
                await other.messages.create(**_CHAT, max_tokens=8, stream=True)

    with filtering() as server:
        asyncio.run(scenario(server.url))
    assert len(server.paths) == 2


@dataclass(frozen=True)
class Vendor:
    """How the SDK of a vendor is used, and what its error tells; ``package`` need not be installed."""

    package: str
    calls: dict[str, Callable[[Any, str], object]]
    raised: Callable[[Any], type[Exception]]
    told: Callable[[Any], tuple[object, object]]
    """Status or kind, and message, of the error."""
    kind: object = 403


def _gemini(genai: Any, url: str, method: str, **said: Any) -> object:
    client = genai.Client(api_key="k", http_options={"base_url": url})  # kept by a name: it ends with its last one
    answer = getattr(client.models, method)(**said)
    return list(answer) if "stream" in method else answer


def _bedrock(session: Any, url: str) -> Any:
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s"}
    return session.get_session().create_client("bedrock-runtime", "eu-west-1", endpoint_url=url, **keys)


_GEMINI: Any = {"model": "gemini-2.5-pro", "contents": "hello"}
_BEDROCK: Any = {"modelId": "deepseek.r1", "messages": [{"role": "user", "content": [{"text": "hello"}]}]}
_SAID: Any = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
VENDORS = [
    Vendor(
        "ollama",
        {
            "chat": lambda sdk, url: sdk.Client(host=url).chat(**_SAID),
            "stream": lambda sdk, url: list(sdk.Client(host=url).chat(**_SAID, stream=True)),
            "generate": lambda sdk, url: sdk.Client(host=url).generate(model="m", prompt="hello"),
            "embed": lambda sdk, url: sdk.Client(host=url).embed(model="m", input="hello"),
        },
        lambda sdk: sdk.ResponseError,
        lambda error: (error.status_code, error.error),
    ),
    Vendor(
        "google.genai",
        {
            "generate": lambda sdk, url: _gemini(sdk, url, "generate_content", **_GEMINI),
            "stream": lambda sdk, url: _gemini(sdk, url, "generate_content_stream", **_GEMINI),
            "embed": lambda sdk, url: _gemini(sdk, url, "embed_content", **_GEMINI),
        },
        lambda sdk: sdk.errors.ClientError,
        lambda error: (error.status, error.message),
        "PERMISSION_DENIED",
    ),
    Vendor(
        "botocore.session",
        {
            "converse": lambda sdk, url: _bedrock(sdk, url).converse(**_BEDROCK),
            "stream": lambda sdk, url: _bedrock(sdk, url).converse_stream(**_BEDROCK),
            "invoke": lambda sdk, url: _bedrock(sdk, url).invoke_model(modelId="m", body=b"{}"),
        },
        lambda _: importlib.import_module("botocore.exceptions").ClientError,
        lambda error: (error.response["Error"]["Code"], error.response["Error"]["Message"]),
        "AccessDeniedException",
    ),
]
CASES = [pytest.param(v, call, id=f"{v.package} {name}") for v in VENDORS for name, call in v.calls.items()]


@pytest.mark.filterwarnings("ignore")  # what those packages warn of, and leave open, is their own affair
@pytest.mark.parametrize(("vendor", "call"), CASES)
def test_the_sdk_of_another_vendor_raises_its_own_error_at_once(
    vendor: Vendor, call: Callable[[Any, str], object]
) -> None:
    sdk = importlib.import_module(vendor.package)
    with filtering() as server, pytest.raises(vendor.raised(sdk)) as raised:
        call(sdk, server.url)
    kind, text = vendor.told(raised.value)
    assert kind == vendor.kind
    assert "DeepSeek is not available on this network" in str(text)
    assert INCIDENT in str(text)
    assert len(server.paths) == 1, "no retry"
