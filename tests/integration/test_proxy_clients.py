"""Real clients through the proxy, to a host that is decrypted and to one that is not."""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from sumun.policy.engine import Policy
from tests.support.browser import CHROMIUM, Browser
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Filter, filtering

pytestmark = pytest.mark.integration

SPLICED, INSPECTED, BLOCKED = "files.test", "chatgpt.com", "chat.deepseek.com"
NAMES = dict.fromkeys((SPLICED, INSPECTED, BLOCKED), "127.0.0.1")
HOSTS = pytest.mark.parametrize("host", [SPLICED, INSPECTED], ids=["spliced", "decrypted"])


def rules() -> Policy:
    own = rule("own", "allow", services=["chatgpt"], tenant=(("X-Org", "ours"),))
    return policy(
        segment("hq", "127.0.0.1/32", rules=[rule("no-ds", "block", services=["deepseek"]), own]),
        services=[CHATGPT, DEEPSEEK],
    )


class _Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def files(folder: Path, context: ssl.SSLContext) -> Iterator[int]:
    """A web server for a folder."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(20)


@dataclass
class Way:
    """What a client has to be told."""

    filter_: Filter
    base: str
    ca: Path

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.filter_.port}"

    async def run(self, *words: str, home: Path) -> str:
        process = await asyncio.create_subprocess_exec(
            *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "LANG": "C.UTF-8"},
        )  # fmt: skip
        async with asyncio.timeout(90):
            said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()


@asynccontextmanager
async def way(folder: Path, served: Path, host: str) -> AsyncIterator[Way]:
    authority = OriginCA(folder)
    context = authority.context(*NAMES, alpn=("http/1.1",))
    with files(served, context) as port:
        async with filtering(folder, rules(), NAMES, upstream_ca=authority.path) as filter_:
            yield Way(filter_, f"https://{host}:{port}", authority.path if host == SPLICED else filter_.ca)
            outcome = "spliced" if host == SPLICED else "intercepted"
            assert filter_.count("proxy_connections_total", segment="hq", outcome=outcome) >= 1
            other = "intercepted" if host == SPLICED else "spliced"
            assert filter_.count("proxy_connections_total", segment="hq", outcome=other) == 0


@HOSTS
def test_git_clones(tmp_path: Path, host: str) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=A", "-c", "user.email=a@b.test")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    served = tmp_path / "served"
    git("init", "-q", "-b", "main", str(tmp_path / "work"))
    (tmp_path / "work" / "file").write_text("hello\n")
    git("-C", str(tmp_path / "work"), "add", "file")
    git("-C", str(tmp_path / "work"), "commit", "-q", "-m", "one")
    git("clone", "-q", "--bare", str(tmp_path / "work"), str(served / "repo.git"))
    git("-C", str(served / "repo.git"), "update-server-info")

    async def main() -> None:
        async with way(tmp_path, served, host) as found:
            settings = ("-c", f"http.proxy={found.proxy}", "-c", f"http.sslCAInfo={found.ca}")
            await found.run(
                "git", *settings, "clone", "-q", f"{found.base}/repo.git", str(tmp_path / "clone"), home=tmp_path
            )
        assert (tmp_path / "clone" / "file").read_text() == "hello\n"

    asyncio.run(main())


@HOSTS
def test_pip_downloads(tmp_path: Path, host: str) -> None:
    project = tmp_path / "served" / "simple" / "sumun-demo"
    project.mkdir(parents=True)
    wheel = "sumun_demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(project / wheel, "w") as archive:
        info = "sumun_demo-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sumun-demo\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    (project / "index.html").write_text(f'<!DOCTYPE html><a href="{wheel}">{wheel}</a>')

    async def main() -> None:
        async with way(tmp_path, tmp_path / "served", host) as found:
            await found.run(
                sys.executable, "-m", "pip", "--isolated", "download", "-q", "--no-deps", "--no-cache-dir",
                "--disable-pip-version-check", "--proxy", found.proxy, "--cert", str(found.ca),
                "--index-url", f"{found.base}/simple", "-d", str(tmp_path / "got"), "sumun-demo", home=tmp_path,
            )  # fmt: skip
        assert (tmp_path / "got" / wheel).read_bytes() == (project / wheel).read_bytes()

    asyncio.run(main())


@HOSTS
def test_requests_and_httpx(tmp_path: Path, host: str) -> None:
    requests = pytest.importorskip("pip._vendor.requests")  # the library itself, as pip brings it along
    served = tmp_path / "served"
    served.mkdir()
    (served / "file").write_text("hello")

    async def main() -> None:
        async with way(tmp_path, served, host) as found:

            def fetch() -> str:
                proxies = {"https": found.proxy, "http": found.proxy}
                with requests.Session() as session:
                    session.trust_env = False
                    got = session.get(f"{found.base}/file", proxies=proxies, verify=str(found.ca), timeout=30)
                    return str(got.text)

            assert await asyncio.to_thread(fetch) == "hello"
            context = ssl.create_default_context(cafile=str(found.ca))
            async with httpx.AsyncClient(proxy=found.proxy, verify=context, trust_env=False) as client:
                assert (await client.get(f"{found.base}/file")).text == "hello"

    asyncio.run(main())


def test_the_openai_sdk_streams_and_the_first_word_is_not_kept(tmp_path: Path) -> None:
    """The origin sends the second word only when the client has told that it has the first."""
    got_first = asyncio.Event()

    def chunk(word: str) -> bytes:
        delta = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m",
                 "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}  # fmt: skip
        data = f"data: {json.dumps(delta)}\n\n".encode()
        return b"%x\r\n%b\r\n" % (len(data), data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(chunk("first"))
            await got_first.wait()
            writer.write(chunk("second") + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
            await writer.drain()
        writer.close()

    async def main() -> None:
        authority = OriginCA(tmp_path)
        context = authority.context(*NAMES, alpn=("http/1.1",))
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        async with server, filtering(tmp_path, rules(), NAMES, upstream_ca=authority.path) as filter_:
            port = server.sockets[0].getsockname()[1]
            trusting = ssl.create_default_context(cafile=str(filter_.ca))
            proxy = f"http://127.0.0.1:{filter_.port}"
            async with httpx.AsyncClient(proxy=proxy, verify=trusting, trust_env=False) as client, asyncio.timeout(60):
                through: Any = {"http_client": client, "max_retries": 0}
                sdk = openai.AsyncOpenAI(api_key="k", base_url=f"https://{INSPECTED}:{port}/v1", **through)
                words = []
                asked: Any = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True}
                async for part in await sdk.chat.completions.create(**asked):
                    words.append(part.choices[0].delta.content)
                    got_first.set()
            assert words == ["first", "second"]

    asyncio.run(main())


def trusting_home(folder: Path, *authorities: Path) -> Path:
    """A home whose browser trusts these."""
    database = folder / "home" / ".pki" / "nssdb"
    database.mkdir(parents=True)
    subprocess.run(["certutil", "-d", f"sql:{database}", "-N", "--empty-password"], check=True)
    for n, path in enumerate(authorities):
        subprocess.run(["certutil", "-d", f"sql:{database}", "-A", "-t", "C,,", "-n", str(n), "-i", path], check=True)
    return folder / "home"


@pytest.mark.skipif(not CHROMIUM or not shutil.which("certutil"), reason="needs Chromium and certutil (libnss3-tools)")
@pytest.mark.parametrize("steered", [False, True], ids=["configured", "steered"])
def test_chromium_does_not_reach_a_blocked_host_over_anothers_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steered: bool
) -> None:
    """One certificate, one address, HTTP/2: what lets a browser send one host's requests down another's connection."""

    async def main() -> None:
        authority = OriginCA(tmp_path)
        origin = Origin(context=authority.context(*NAMES))
        async with origin.serving(), filtering(tmp_path, rules(), NAMES, upstream_ca=authority.path) as filter_:
            monkeypatch.setenv("HOME", str(trusting_home(tmp_path, authority.path, filter_.ca)))
            port = filter_.https_port if steered else origin.port
            flags = (
                (f"--host-resolver-rules=MAP * 127.0.0.1:{port}",)
                if steered
                else (f"--proxy-server=http://127.0.0.1:{filter_.port}", "--proxy-bypass-list=<-loopback>")
            )
            at = "" if steered else f":{origin.port}"

            def browse() -> list[str]:
                with Browser(tmp_path / "profile", *flags) as browser:
                    shown = []
                    for host in (INSPECTED, BLOCKED, BLOCKED):
                        browser.show(f"https://{host}{at}/")
                        shown.append(str(browser.evaluate("document.documentElement.innerText")))
                    return shown

            shown = await asyncio.to_thread(browse)
        assert all("DeepSeek" in text or "deepseek" in text for text in shown[1:]), shown
        hosts = {host for seen in origin.requests for host in (*seen.header(":authority"), *seen.header("host"))}
        assert not any("deepseek" in host for host in hosts)
        if not steered:
            assert "origin speaking" in shown[0]
            assert len(origin.requests) >= 1, "the other host was reached"

    asyncio.run(main())
