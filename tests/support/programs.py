"""Libraries that programs speak to the web with, all in one process, wherever it is started.

    python -m tests.support.programs TAG PROXY HOST=AUTHORITY...

Prints as JSON, by host and library, what a program gets, or the error that it sees. PROXY is empty where it knows of
none.
"""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import requests
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

PATIENCE = 60
BIG = 300_000
"""Octets of a message that takes several reads on its way."""


@dataclass
class Program:
    """Where it goes, and how."""

    host: str
    tag: str
    authority: str
    proxy: str | None

    def with_requests(self) -> object:
        with requests.Session() as session:
            session.trust_env = False
            session.verify, session.proxies = self.authority, {"https": self.proxy} if self.proxy else {}
            got = [session.get(f"https://{self.host}/hello", timeout=PATIENCE) for _ in range(2)]
            return [self._shown(answer.status_code, answer.text) for answer in got]

    def with_httpx(self) -> object:
        with self._client() as client:
            got = [client.get(f"https://{self.host}/hello") for _ in range(2)]
            return [self._shown(answer.status_code, answer.text) for answer in got]

    def with_openai(self, model: str = "m") -> object:
        """The words of a stream, whose second comes only once the first is here; or the error, and after how much."""
        sent: list[object] = []
        counting: Any = {"event_hooks": {"request": [sent.append]}}
        base = f"https://{self.host}/{self.tag}"
        with openai.DefaultHttpxClient(**self._ways, **counting) as client, self._client() as other:
            sdk = openai.OpenAI(api_key="k", base_url=f"{base}/v1", http_client=client, max_retries=2)
            asked: Any = {"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": True}
            words = []
            try:
                for part in sdk.chat.completions.create(**asked):
                    words.append(part.choices[0].delta.content)
                    if words == ["first"]:
                        other.get(f"{base}/proceed").raise_for_status()
            except openai.PermissionDeniedError as error:
                return {"error": error.code, "requests": len(sent)}
            return words

    def with_websockets(self) -> object:
        url = f"wss://{self.host}/talk"
        try:
            with connect(url, ssl=self._trusting, proxy=self.proxy, open_timeout=PATIENCE) as socket:
                heard: list[object] = [socket.recv(PATIENCE)]
                socket.send("one")
                heard.append(socket.recv(PATIENCE))
                socket.send("two")
                heard.append(socket.recv(PATIENCE))
                big = bytes(BIG)
                socket.send(big)
                heard.append(socket.recv(PATIENCE) == big)
                return heard
        except InvalidStatus as error:
            return error.response.status_code

    @property
    def _trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    @property
    def _ways(self) -> dict[str, Any]:
        return {"proxy": self.proxy, "verify": self._trusting, "trust_env": False, "timeout": PATIENCE}

    def _client(self) -> httpx.Client:
        return httpx.Client(**self._ways)

    @staticmethod
    def _shown(status: int, text: str) -> object:
        return [status, text] if status == 200 else status


def main(tag: str, proxy: str, *places: str) -> None:
    got = {}
    for place in places:
        host, _, authority = place.partition("=")
        got[host] = _each(Program(host, f"{tag}-{host}", authority, proxy or None))
    print(json.dumps(got))


def _each(program: Program) -> dict[str, object]:
    asked: dict[str, Callable[[], object]] = {
        "requests": program.with_requests,
        "httpx": program.with_httpx,
        "openai": program.with_openai,
        "openai, another model": lambda: program.with_openai("r1"),
        "websockets": program.with_websockets,
    }
    return {library: _outcome(ask) for library, ask in asked.items()}


def _outcome(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the program sees
        return repr(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
