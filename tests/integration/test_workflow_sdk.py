"""Real SDKs through the whole proxy: stopped at once without a retry, told where to go on, and served after that."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from sumun.model.rule import Action
from sumun.policy.engine import Policy
from tests.support.builders import policy, rule, segment, service
from tests.support.forms import Desk, form_of, serving
from tests.support.origins import OriginCA

pytestmark = pytest.mark.integration
HOST = "api.talk.example"
TALK = service("talk", "talk.example", category="llm-api")
SAID = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 9}


def office(action: Action) -> Policy:
    rules = [rule("think", action, services=["talk"], ttl=timedelta(hours=1))]
    return policy(segment("office", "127.0.0.0/8", rules=rules), services=[TALK])


@dataclass
class Call:
    """One way to call an API, and the permission error it raises."""

    send: Callable[[Any, int, bool], Any]
    error: type[Exception]


def _openai(client: Any, port: int, stream: bool) -> Any:
    sdk = openai.OpenAI(api_key="k", base_url=f"https://{HOST}:{port}/v1", http_client=client)
    answer: Any = sdk.chat.completions.create(model="m", stream=stream, **SAID)  # type: ignore[call-overload]  # either
    return list(answer) if stream else answer.choices[0].message.content


def _anthropic(client: Any, port: int, stream: bool) -> Any:
    sdk = anthropic.Anthropic(api_key="k", base_url=f"https://{HOST}:{port}", http_client=client)
    answer: Any = sdk.messages.create(model="m", stream=stream, **SAID)  # type: ignore[call-overload]  # either
    return list(answer) if stream else answer.content[0].text


CALLS = {
    "openai": Call(_openai, openai.PermissionDeniedError),
    "anthropic": Call(_anthropic, anthropic.PermissionDeniedError),
}
ANSWERS = {
    "/v1/chat/completions": b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":'
    b'[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"hi"}}]}',
    "/v1/messages": b'{"id":"1","type":"message","role":"assistant","model":"m","stop_reason":"end_turn",'
    b'"content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":1,"output_tokens":1}}',
}


async def api(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks each API's shape."""
    with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next((int(f[15:]) for f in head.lower().split("\r\n") if f.startswith("content-length:")), 0)
        await reader.readexactly(length)
        body = ANSWERS[head.split()[1]]
        fields = f"Content-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(f"HTTP/1.1 200 OK\r\n{fields}".encode() + body)
        await writer.drain()
    writer.close()


def client(name: str, desk: Desk, origin_ca: Path) -> Any:
    """The HTTP client that this SDK brings: they have come to differ."""
    trusted = ssl.create_default_context(cafile=str(desk.filter.ca))
    trusted.load_verify_locations(origin_ca)
    sdk: Any = {"openai": openai, "anthropic": anthropic}[name]
    return sdk.DefaultHttpxClient(proxy=f"http://127.0.0.1:{desk.filter.port}", verify=trusted)


@pytest.mark.parametrize("stream", [False, True], ids=["blocking", "streaming"])
@pytest.mark.parametrize("action", [Action.BLOCK, Action.WARN, Action.JUSTIFY])
@pytest.mark.parametrize("name", CALLS)
def test_it_raises_its_permission_error_at_once(tmp_path: Path, name: str, action: Action, stream: bool) -> None:
    async def scenario() -> None:
        ca = OriginCA(tmp_path)
        async with serving(tmp_path, office(action), {HOST: "127.0.0.1"}, upstream_ca=ca.path) as desk:
            error = await asyncio.to_thread(stopped, desk, ca.path)
            held = action is not Action.BLOCK
            assert (f"https://{HOST}" in str(error)) is held, "where a person can go on"
            assert "incident-1" in str(error)
            assert len(desk.filter.events.seen) == 1, "no retry"

    def stopped(desk: Desk, origin_ca: Path) -> Exception:
        with client(name, desk, origin_ca) as http, pytest.raises(CALLS[name].error) as raised:
            CALLS[name].send(http, 443, stream)
        return raised.value

    asyncio.run(scenario())


@pytest.mark.parametrize("name", CALLS)
def test_after_a_person_confirmed_the_program_is_served(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        ca = OriginCA(tmp_path)
        context = ca.context(HOST, alpn=("http/1.1",))
        server = await asyncio.start_server(api, "127.0.0.1", 0, ssl=context)
        port = server.sockets[0].getsockname()[1]
        async with (
            server,
            serving(tmp_path, office(Action.WARN), {HOST: "127.0.0.1"}, upstream_ca=ca.path) as desk,
        ):
            with pytest.raises(CALLS[name].error):
                await asyncio.to_thread(call, desk, ca.path, port)
            action, fields = form_of(await desk.open(f"https://{HOST}:{port}/"))
            assert (await desk.send(f"https://{HOST}:{port}{action}", fields)).status == 303
            assert await asyncio.to_thread(call, desk, ca.path, port) == "hi"

    def call(desk: Desk, origin_ca: Path, port: int) -> Any:
        with client(name, desk, origin_ca) as http:
            return CALLS[name].send(http, port, False)

    asyncio.run(scenario())
