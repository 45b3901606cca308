"""A real directory says who users are; every way in which it can fail is told from a wrong password."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from sumun.config.user_settings import Ldap, LdapServer
from sumun.model.user import Identity
from sumun.users.errors import Unavailable, UsersFault
from sumun.users.ldap import LdapDirectory
from tests.support.directory import ALICE, BASE, BOB, READER, READERS_PASSWORD, Directory, directory
from tests.support.origins import OriginCA

pytestmark = pytest.mark.integration

SEARCHING = {"bind_dn": READER}
DIRECT = {"user_dn": f"uid={{user}},{BASE}"}


def run(folder: Path, test: Callable[[Directory], Awaitable[None]], *, certified: str = "localhost") -> None:
    async def main() -> None:
        async with directory(folder, certified=certified) as found:
            await test(found)

    asyncio.run(main())


async def check(asked: LdapDirectory, name: str, password: str) -> Identity | None:
    return await asyncio.to_thread(asked.check, name, password.encode())


@pytest.mark.parametrize("how", [SEARCHING, DIRECT], ids=["searched", "named"])
@pytest.mark.parametrize("start_tls", [False, True], ids=["ldaps", "starttls"])
def test_who_proves_it_is_known_with_groups(tmp_path: Path, how: dict[str, str], *, start_tls: bool) -> None:
    async def test(found: Directory) -> None:
        asked = LdapDirectory(found.ldap(start_tls=start_tls, **how), READERS_PASSWORD)
        assert await check(asked, "alice", ALICE) == Identity("alice", frozenset({"research"}))
        assert await check(asked, "bob", BOB) == Identity("bob")
        assert await check(asked, "alice", BOB) is None
        assert await check(asked, "nobody", ALICE) is None
        assert await check(asked, "*", ALICE) is None, "no filter is written by a user"
        assert await check(asked, f"alice,{BASE}", ALICE) is None
        assert await check(asked, "alice", "") is None, "a bind without a password proves nothing"
        assert await check(asked, "alice", ALICE) == Identity("alice", frozenset({"research"}))
        asked.close()

    run(tmp_path, test)


def test_groups_are_searched_for_where_entries_do_not_name_them(tmp_path: Path) -> None:
    async def test(found: Directory) -> None:
        settings = found.ldap(member_of="", group_base=BASE, **SEARCHING)
        asked = LdapDirectory(settings, READERS_PASSWORD)
        assert await check(asked, "alice", ALICE) == Identity("alice", frozenset({"research"}))
        assert await check(asked, "bob", BOB) == Identity("bob")
        asked.close()

    run(tmp_path, test)


@pytest.mark.parametrize("start_tls", [False, True], ids=["ldaps", "starttls"])
def test_a_certificate_of_another_name_or_authority_is_refused(tmp_path: Path, *, start_tls: bool) -> None:
    async def test(found: Directory) -> None:
        elsewhere = LdapDirectory(found.ldap(start_tls=start_tls, **DIRECT))
        with pytest.raises(Unavailable, match="directory fails"):
            await check(elsewhere, "alice", ALICE)
        unknown = LdapDirectory(found.ldap(start_tls=start_tls, ca=None, **DIRECT))
        with pytest.raises(Unavailable, match="directory fails"):
            await check(unknown, "alice", ALICE)

    run(tmp_path, test, certified="elsewhere.test")


def test_a_directory_that_goes_and_comes_back(tmp_path: Path) -> None:
    async def test(found: Directory) -> None:
        asked = LdapDirectory(found.ldap(**SEARCHING), READERS_PASSWORD)
        assert await check(asked, "alice", ALICE)
        await found.stop()
        with pytest.raises(Unavailable) as failure:
            await check(asked, "alice", ALICE)
        assert ALICE not in str(failure.value)
        await found.start()
        assert await check(asked, "alice", ALICE), "connections that died are replaced"
        asked.close()

    run(tmp_path, test)


def test_one_that_may_not_search_is_a_failure_and_no_wrong_password(tmp_path: Path) -> None:
    async def test(found: Directory) -> None:
        asked = LdapDirectory(found.ldap(**SEARCHING), "not its password")
        with pytest.raises(Unavailable):
            await check(asked, "alice", ALICE)

    run(tmp_path, test)


def test_one_that_accepts_and_says_nothing_ends_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        servers = (LdapServer("127.0.0.1", silent.getsockname()[1], start_tls=False),)
        ca = OriginCA(tmp_path).path
        asked = LdapDirectory(Ldap(servers=servers, base=BASE, ca=ca, timeout=timedelta(seconds=0.5), **DIRECT))
        with pytest.raises(Unavailable):
            asked.check("alice", ALICE.encode())


def test_the_readers_password_is_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("secret\n")
    path.chmod(0o644)

    async def test(found: Directory) -> None:
        with pytest.raises(UsersFault, match="chmod go="):
            LdapDirectory.of(found.ldap(bind_dn=READER, bind_password=path))

    run(tmp_path, test)
