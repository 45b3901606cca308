"""The real SDKs raise their own permission error, once, with our message."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
                "api.example", self.path, self.command, accept=self.headers.get("accept", ""),
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
