"""Users of the proxy, with a real curl: who is asked, who is let in, and that nothing said on the way leaves."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from sumun.config.user_settings import IdentityHeader, UserSettings
from sumun.model.segment import Authenticate, FailMode, ProxyPolicy
from sumun.model.user import Identity
from sumun.model.verdict import Verdict
from sumun.policy.engine import Policy
from sumun.users.asking import Users
from sumun.users.errors import Unavailable
from sumun.users.file import UserFile
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Filter, filtering, hello, loopback_settings, say

pytestmark = pytest.mark.integration

REQUIRED, OPTIONAL, NONE = "127.0.0.1", "127.0.0.2", "127.0.0.4"
OPEN_ON_FAILURE = "127.0.0.5"
PASSWORD = "correct:horse\N{SNOWMAN}"
ALERT = bytes((0x15, 3, 3, 0, 2, 2, 49))
HEADER = IdentityHeader("X-Authenticated-User", "X-Authenticated-Groups")
AI = [
    rule("research-may", "allow", users=["group:research"], services=["deepseek"]),
    rule("kim-may", "allow", users=["kim"], services=["deepseek"]),
    rule("no-ai", "block", categories=["*"]),
]


def asking(mode: Authenticate) -> ProxyPolicy:
    return ProxyPolicy(authenticate=mode)


def four_ways() -> Policy:
    return policy(
        segment("required", f"{REQUIRED}/32", proxy=asking(Authenticate.REQUIRED), rules=AI),
        segment("optional", f"{OPTIONAL}/32", proxy=asking(Authenticate.OPTIONAL), rules=AI),
        segment("none", f"{NONE}/32", rules=AI),
        segment(
            "open", f"{OPEN_ON_FAILURE}/32", proxy=asking(Authenticate.REQUIRED), rules=AI, on_failure=FailMode.OPEN
        ),
        services=[DEEPSEEK, CHATGPT],
    )


def users_of(folder: Path) -> Users:
    path = folder / "users"
    lines = [f"{name}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()}" for name in ("Alice", "kim")]
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    (folder / "groups").write_text("research: alice\n")
    (folder / "groups").chmod(0o600)
    return Users(UserFile(path, folder / "groups"), least=0)


def run(
    folder: Path,
    test: Callable[[Filter, Origin], Awaitable[None]],
    *,
    users: Users | None = None,
    tls: bool = True,
    trusted: tuple[str, ...] = (),
    **more: Any,
) -> None:
    async def main() -> None:
        authority = OriginCA(folder)
        origin = Origin(context=authority.context("open.test", "chat.deepseek.com") if tls else None)
        settings = replace(
            loopback_settings(folder, authority.path), users=UserSettings(header=HEADER),
            trusted_parents=tuple(map(ip_network, trusted)),
        )  # fmt: skip
        known = users or users_of(folder)
        async with (
            origin.serving(),
            filtering(
                folder, four_ways(), {"open.test": "127.0.0.1", "chat.deepseek.com": "127.0.0.1"},
                settings=settings, users=known, **more,
            ) as filter_,
        ):  # fmt: skip
            await test(filter_, origin)
        known.close()

    asyncio.run(main())


def as_user(name: str, password: str = PASSWORD) -> list[str]:
    return ["--proxy-user", f"{name}:{password}"]


def test_nobody_comes_through_without_a_name(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url, roots = f"https://open.test:{origin.port}/", ["--cacert", str(tmp_path / "origin-ca.pem")]
        nobody = await filter_.curl(*roots, url)
        assert nobody.connect_status == 407
        wrong = await filter_.curl(*roots, *as_user("alice", "horse"), url)
        unknown = await filter_.curl(*roots, *as_user("mallory"), url)
        assert (wrong.connect_status, unknown.connect_status) == (407, 407)
        assert origin.connections == 0
        for name in ("alice", "ALICE", "kim"):
            let_in = await filter_.curl(*roots, *as_user(name), url)
            assert (let_in.status, let_in.text) == (200, "origin speaking")
        counted = {
            o: filter_.count("authentications_total", segment="required", outcome=o) for o in ("asked", "refused")
        }
        assert counted["asked"] >= 1
        assert counted["refused"] == 2

    run(tmp_path, test)


def test_rules_know_users_and_groups_and_events_name_them(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url, roots = f"https://chat.deepseek.com:{origin.port}/", ["--cacert", str(tmp_path / "origin-ca.pem")]
        by_group = await filter_.curl(*roots, *as_user("alice"), url)
        by_name = await filter_.curl(*roots, *as_user("kim"), url)
        assert (by_group.text, by_name.text) == ("origin speaking", "origin speaking")
        assert {(e.request.user, e.verdict) for e in filter_.events.seen} == {
            ("alice", Verdict.SPLICED), ("kim", Verdict.SPLICED),
        }  # fmt: skip

    run(tmp_path, test)


def test_a_decrypted_request_is_the_users_who_opened_the_tunnel(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"https://chatgpt.com:{origin.port}/"
        stopped = await filter_.curl(*as_user("alice"), "-H", "X-Authenticated-User: kim", url)
        assert stopped.status == 403
        assert [(e.request.user, e.request.groups, e.verdict) for e in filter_.events.seen] == [
            ("alice", frozenset({"research"}), Verdict.BLOCK_PAGE)
        ]

    run(tmp_path, test)


def test_plain_http_is_asked_for_each_request_and_the_answer_goes_nowhere(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url = f"http://open.test:{origin.port}/"
        assert (await filter_.curl(url)).status == 407
        assert (await filter_.curl("--data", "x" * 100_000, url)).status == 407
        assert (await filter_.curl(*as_user("alice", "wrong"), url)).status == 407
        assert origin.requests == []
        fields = ["-H", "X-Authenticated-User: kim", "-H", "X-Authenticated-Groups: research"]
        assert (await filter_.curl(*as_user("alice"), *fields, url)).text == "origin speaking"
        (seen,) = origin.requests
        names = {name.lower() for name, _ in seen.headers}
        assert names.isdisjoint({"proxy-authorization", "x-authenticated-user", "x-authenticated-groups"})

    run(tmp_path, test, tls=False)


def test_optional_asks_where_a_rule_depends_on_it(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        roots = ["--cacert", str(tmp_path / "origin-ca.pem")]
        elsewhere = await filter_.curl(*roots, f"https://open.test:{origin.port}/", client=OPTIONAL)
        assert elsewhere.text == "origin speaking"
        url = f"https://chat.deepseek.com:{origin.port}/"
        assert (await filter_.curl(*roots, url, client=OPTIONAL)).connect_status == 407
        assert (await filter_.curl(*roots, *as_user("kim"), url, client=OPTIONAL)).text == "origin speaking"
        plain = await filter_.curl("http://chat.deepseek.com/", client=OPTIONAL)
        assert plain.status == 407

    run(tmp_path, test)


def test_socks_has_names_and_passwords_too(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url, roots = f"https://chat.deepseek.com:{origin.port}/", ["--cacert", str(tmp_path / "origin-ca.pem")]
        via = ["--proxy", f"socks5h://127.0.0.1:{filter_.port}"]
        assert (await filter_.curl(*roots, *via, *as_user("kim"), url)).text == "origin speaking"
        assert (await filter_.curl(*roots, *via, *as_user("kim", "no"), url)).code == 97
        assert (await filter_.curl(*roots, *via, url)).code == 97
        assert origin.connections == 1

    run(tmp_path, test)


def test_a_listed_parent_says_who_asks_and_nobody_else_does(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url, roots = f"https://chat.deepseek.com:{origin.port}/", ["--cacert", str(tmp_path / "origin-ca.pem")]
        field = ["--proxy-header", "X-Authenticated-User: KIM"]
        from_parent = await filter_.curl(*roots, *field, url, client=NONE)
        assert from_parent.text == "origin speaking"
        (event,) = filter_.events.seen
        assert event.request.user == "kim"
        elsewhere = await filter_.curl(*roots, *field, url, client=REQUIRED)
        assert elsewhere.connect_status == 407
        twice = await filter_.curl(*field, *field, url, client=NONE)
        assert twice.status == 403, "two names are none"

    run(tmp_path, test, trusted=(f"{NONE}/32",))


def test_who_cannot_be_asked_is_let_nowhere_but_to_a_page(tmp_path: Path) -> None:
    async def test(filter_: Filter, _: Origin) -> None:
        assert await say(filter_.https_port, hello("open.test")) == ALERT
        to = ["--connect-to", f"::127.0.0.1:{filter_.http_port}"]
        plain = await filter_.curl(*to, "http://open.test/", proxied=False)
        assert plain.status == 403
        page = await filter_.curl(*to, "http://chat.deepseek.com/", proxied=False)
        assert page.status == 403
        assert "incident" in page.text.lower()

    run(tmp_path, test)


class Failing:
    """A source that cannot say anything."""

    def check(self, name: str, password: bytes) -> Identity | None:
        raise Unavailable("the directory fails")

    def close(self) -> None: ...


def test_a_directory_that_fails_fails_as_the_segment_says(tmp_path: Path) -> None:
    async def test(filter_: Filter, origin: Origin) -> None:
        url, roots = f"https://open.test:{origin.port}/", ["--cacert", str(tmp_path / "origin-ca.pem")]
        assert (await filter_.curl(*roots, *as_user("kim"), url)).connect_status == 503
        let_in = await filter_.curl(*roots, *as_user("kim"), url, client=OPEN_ON_FAILURE)
        assert let_in.text == "origin speaking"
        blocked = await filter_.curl(*as_user("kim"), "https://chat.deepseek.com/", client=OPEN_ON_FAILURE)
        assert blocked.status == 403, "as nobody, for whom the rules still are"
        assert filter_.count("failure_decisions_total", point="gate", segment="open", mode="open") == 2

    run(tmp_path, test, users=Users(Failing(), least=0))


def test_no_password_is_in_any_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def test(filter_: Filter, origin: Origin) -> None:
        for words in (as_user("alice"), as_user("alice", "wrong-secret"), as_user("x" * 400, "wrong-secret")):
            await filter_.curl(*words, f"https://open.test:{origin.port}/")
            await filter_.curl(*words, f"http://open.test:{origin.port}/")
        encoded = b64encode(f"alice:{PASSWORD}".encode()).decode()
        told = caplog.text + repr(filter_.events.seen)
        for secret in (PASSWORD, "wrong-secret", encoded, "horse"):
            assert secret not in told

    run(tmp_path, test)
