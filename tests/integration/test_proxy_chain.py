"""The chain that clients are shown: they need the root alone, before and after either certificate is renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sumun.proxy.ca import ensure_ca, renew, renew_root
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment
from tests.support.proxies import filtering

pytestmark = pytest.mark.integration

POLICY = policy(
    segment("hq", "127.0.0.1/32", rules=[rule("no-ai", "block", categories=["*"])]), services=[DEEPSEEK, CHATGPT]
)
NOW = datetime.now(UTC)  # noqa: TID251 - curl and openssl ask the real clock


def unchanged(_: Path) -> None: ...


def another_intermediate(folder: Path) -> None:
    renew(folder, at=NOW)


def another_root(folder: Path) -> None:
    renew_root(folder, at=NOW)


@pytest.mark.parametrize("change", [unchanged, another_intermediate, another_root])
def test_who_trusts_the_first_root_sees_the_pages(tmp_path: Path, change: Callable[[Path], None]) -> None:
    async def main() -> None:
        first = tmp_path / "first-root.pem"
        first.write_text(ensure_ca(tmp_path / "ca", at=NOW).certificate)
        change(tmp_path / "ca")
        newest = tmp_path / "newest-root.pem"
        newest.write_text(ensure_ca(tmp_path / "ca", at=NOW).certificate)
        async with filtering(tmp_path, POLICY, clock=lambda: NOW) as filter_:
            for trusted in (first, newest):
                answer = await filter_.curl("--cacert", str(trusted), "https://chat.deepseek.com/")
                assert (answer.code, answer.status) == (0, 403), answer.complaint
                told = await verified(filter_.https_port, trusted)
                assert "Verify return code: 0 (ok)" in told
                assert "Sumun intermediate CA" in told

    asyncio.run(main())


def test_the_intermediate_alone_is_not_what_clients_trust(tmp_path: Path) -> None:
    async def main() -> None:
        other = tmp_path / "other-root.pem"
        other.write_text(ensure_ca(tmp_path / "other", at=NOW).certificate)
        async with filtering(tmp_path, POLICY, clock=lambda: NOW) as filter_:
            answer = await filter_.curl("--cacert", str(other), "https://chat.deepseek.com/")
            assert answer.code == 60

    asyncio.run(main())


async def verified(port: int, trusted: Path) -> str:
    """What OpenSSL says of the chain."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "chat.deepseek.com", "-CAfile",
        str(trusted), "-verify_hostname", "chat.deepseek.com", "-verify_return_error", "-showcerts",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return out.decode()
