"""The store on SQLite and on PostgreSQL: the same answers, several processes, and no change by halves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from sqlalchemy import text

from sumun.loading.private_file import read_private, write_private
from sumun.model.grant import AskedState, Change, Grant, GrantChanged, GrantKind, Justification, ReviewRequest, Subject
from sumun.store.copy import FILE_NAME, MAX_OCTETS, Copy
from sumun.store.faults import Full, StoreFault, Used
from sumun.store.key import form_key
from sumun.store.store import Bounds, Form, Store, passing
from sumun.store.watch import Watch
from tests.support.builders import NOON
from tests.support.forms import Clock
from tests.support.postgresql import postgresql, why_not

pytestmark = pytest.mark.integration
SUBJECT = Subject(ip_address("10.0.0.7"), "office", "think", "chatgpt")
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if reason := why_not():
        pytest.skip(reason)
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield ""
        return
    found = request.getfixturevalue("server")
    yield found
    cleaning = Store.at(found, tmp_path)
    with cleaning._engine.begin() as connection:
        for table in ("about", "grants", "justifications", "reviews", "used_forms"):
            connection.execute(text(f"DROP TABLE IF EXISTS sumun_{table}"))
    cleaning.close()


@pytest.fixture
def store(url: str, tmp_path: Path) -> Iterator[Store]:
    found = Store.at(url, tmp_path)
    yield found
    found.close()


def acknowledged(id_: str = "A1", client: str = "10.0.0.7") -> Grant:
    return passing(
        GrantKind.ACKNOWLEDGEMENT, replace(SUBJECT, client=ip_address(client)), id_, NOON, NOON + HOUR
    )  # fmt: skip


def form(nonce: str) -> Form:
    return Form(nonce, NOON + HOUR)


def justification(id_: str = "J1", client: str = "10.0.0.7") -> Justification:
    subject = replace(SUBJECT, client=ip_address(client), rule="why")
    return Justification(id_, subject, "Security Desk", "for the yearly report ★", "research", 600, NOON)


def test_what_is_given_is_in_the_snapshot_until_it_ends(store: Store) -> None:
    before = store.version()
    exempted = Grant(
        "E1", GrantKind.EXEMPTION, NOON + 2 * HOUR, "deepseek", client=ip_network("2001:db8::/48"), reason="감사",
        approver="Kim", given=NOON,
    )  # fmt: skip
    store.give(acknowledged(), NOON, form("n1"))
    store.give(exempted, NOON)
    assert store.version() == before + 2
    assert set(store.snapshot(NOON).grants) == {acknowledged(), exempted}
    assert store.grants(NOON) == [acknowledged(), exempted]
    assert store.snapshot(NOON + HOUR).grants == (exempted,)


def test_a_form_counts_once_and_changes_nothing_the_second_time(store: Store) -> None:
    store.give(acknowledged(), NOON, form("n1"))
    version = store.version()
    with pytest.raises(Used):
        store.give(acknowledged("A2"), NOON, form("n1"))
    with pytest.raises(Used):
        store.ask(justification(), form("n1"))
    assert (store.version(), store.grants(NOON), store.waiting()) == (version, [acknowledged()], [])


def test_of_many_who_send_one_form_one_succeeds(url: str, store: Store, tmp_path: Path) -> None:
    store.version()
    barrier = threading.Barrier(8)

    def send(number: int) -> bool:
        mine = Store.at(url, tmp_path)
        barrier.wait()
        try:
            mine.give(acknowledged(f"A{number}"), NOON, form("n1"))
        except Used:
            return False
        finally:
            mine.close()
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(send, range(8))) == [False] * 7 + [True]
    assert len(store.grants(NOON)) == 1


def test_two_first_starts_at_once(url: str, tmp_path: Path) -> None:
    barrier = threading.Barrier(6)

    def begin(_: int) -> int:
        mine = Store.at(url, tmp_path)
        barrier.wait()
        try:
            return mine.version()
        finally:
            mine.close()

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(begin, range(6))) == [0] * 6


def test_a_justification_is_approved_once_and_holds_for_its_length(store: Store) -> None:
    store.ask(justification(), form("n1"))
    assert store.waiting() == [justification()]
    assert store.snapshot(NOON).answers == {justification().subject: True}
    grant = store.approve("J1", NOON + HOUR, by="Park")
    assert grant
    assert (grant.until, grant.approver, grant.reason) == (
        NOON + HOUR + timedelta(minutes=10), "Park", "for the yearly report ★",
    )  # fmt: skip
    assert (store.approve("J1", NOON + HOUR, by="Lee"), store.deny("J1", NOON, by="Lee")) == (None, None)
    found = store.snapshot(NOON + HOUR)
    assert (found.grants, found.answers, store.waiting()) == ((grant,), {}, [])


def test_a_denial_is_shown_for_a_day(store: Store) -> None:
    store.ask(justification(), form("n1"))
    denied = store.deny("J1", NOON, by="Park")
    assert denied
    assert (denied.state, denied.decided, denied.decided_by) == (AskedState.DENIED, NOON, "Park")
    assert store.snapshot(NOON + HOUR).answers == {denied.subject: False}
    assert store.snapshot(NOON + timedelta(days=1)).answers == {}


def test_a_review_is_listed_until_it_is_closed(store: Store) -> None:
    review = ReviewRequest("R1", SUBJECT, "1KA8-PGF8-T1V3-2R40", "we need it for the tender", NOON)
    store.ask_review(review, form("n1"))
    assert store.reviews() == [review]
    closed = store.close_review("R1", NOON + HOUR, by="Park")
    assert closed == replace(review, closed=NOON + HOUR, closed_by="Park")
    assert (store.reviews(), store.close_review("R1", NOON, by="Lee")) == ([], None)


def test_revoked_once_and_expired_once(store: Store) -> None:
    store.give(acknowledged("A1"), NOON)
    store.give(acknowledged("A2"), NOON)
    assert store.revoke("A1", NOON) == acknowledged("A1")
    assert store.revoke("A1", NOON) is None
    assert store.expire(NOON) == []
    assert store.expire(NOON + HOUR) == [acknowledged("A2")]
    assert store.expire(NOON + HOUR) == []
    assert store.revoke("A2", NOON) is None


def test_what_waits_is_bounded_for_each_client_and_in_all(url: str, tmp_path: Path) -> None:
    store = Store.at(url, tmp_path, Bounds(in_force=1, waiting=3, of_one_client=2))
    store.ask(justification("J1"), form("n1"))
    store.ask(justification("J2"), form("n2"))
    with pytest.raises(Full, match="2 requests wait for an approver, all from one client"):
        store.ask(justification("J3"), form("n3"))
    store.ask(justification("J3", "10.0.0.8"), form("n3"))
    with pytest.raises(Full, match="3 requests wait"):
        store.ask(justification("J4", "10.0.0.9"), form("n4"))
    store.give(acknowledged("A1"), NOON)
    with pytest.raises(Full, match="1 grants are in force"):
        store.give(acknowledged("A2"), NOON)
    store.close()


def test_a_client_that_confirms_again_and_again_fills_nothing(url: str, tmp_path: Path) -> None:
    store = Store.at(url, tmp_path, Bounds(held_by_client=2))
    for number in range(5):
        store.give(acknowledged(f"A{number}"), NOON, form(f"n{number}"))
    assert [grant.id for grant in store.grants(NOON)] == ["A4"]
    store.give(replace(acknowledged("B1"), service="", name="one.example"), NOON, form("m1"))
    with pytest.raises(Full, match="held by one client"):
        store.give(replace(acknowledged("B2"), service="", name="two.example"), NOON, form("m2"))
    store.give(acknowledged("C1", "10.0.0.8"), NOON, form("m3"))
    assert {grant.id for grant in store.expire(NOON + HOUR)} == {"A4", "B1", "C1"}
    store.close()


def test_what_is_old_is_forgotten(store: Store) -> None:
    store.give(acknowledged("A1"), NOON, form("n1"))
    store.expire(NOON + HOUR)
    store.tidy(NOON + timedelta(minutes=59))
    with pytest.raises(Used):
        store.give(acknowledged("A2"), NOON, form("n1"))
    store.tidy(NOON + timedelta(days=500))
    store.give(acknowledged("A1"), NOON, form("n1"))


def test_two_watches_agree_and_one_of_them_tells_of_the_end(url: str, store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        clock, told = Clock(), list[GrantChanged]()
        other = Store.at(url, tmp_path)
        watches = [Watch(each, clock=clock, tell=told.append) for each in (store, other)]
        for watch in watches:
            await watch.look()
        store.give(acknowledged(), NOON)
        for watch in watches:
            assert await watch.look()
            assert watch.current.concern(ip_address("10.0.0.7"))
        clock.pass_(hours=1)
        for watch in watches:
            await watch.look()
            assert not watch.current
        assert [change.change for change in told] == [Change.EXPIRED]
        other.close()

    asyncio.run(scenario())


def test_an_unchanged_store_keeps_the_very_snapshot(store: Store) -> None:
    async def scenario() -> None:
        watch = Watch(store, clock=Clock(), tell=print)
        await watch.look()
        before = watch.current
        await watch.look()
        assert watch.current is before

    asyncio.run(scenario())


def test_a_store_of_another_version_is_refused(url: str, store: Store, tmp_path: Path) -> None:
    store.version()
    with store._engine.begin() as connection:
        connection.execute(text("UPDATE sumun_about SET value = 99 WHERE key = 'schema'"))
    newer = Store.at(url, tmp_path)
    with pytest.raises(StoreFault, match="schema version 99"):
        newer.version()
    newer.close()


def test_a_server_that_is_down_is_a_fault_without_its_password(tmp_path: Path) -> None:
    down = Store.at("postgresql://sumun:hunter2@127.0.0.1:1/none", tmp_path)
    with pytest.raises(StoreFault) as fault:
        down.version()
    assert "127.0.0.1" in str(fault.value)
    assert "hunter2" not in str(fault.value)


def test_a_url_that_is_no_store_is_refused(tmp_path: Path) -> None:
    for url in ("mysql://x/y", "no url"):
        with pytest.raises(StoreFault, match="store"):
            Store.at(url, tmp_path)


def test_a_broken_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "sumun.db").write_bytes(b"this is no database, and was never one" * 100)
    broken = Store.at("", tmp_path)
    with pytest.raises(StoreFault, match="not a database"):
        broken.version()
    broken.close()


def test_files_are_private_from_the_beginning(tmp_path: Path) -> None:
    store = Store.at("", tmp_path)
    store.give(acknowledged(), NOON)
    key = form_key(tmp_path)
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == dict.fromkeys(
        ["sumun.db", "sumun.db-wal", "sumun.db-shm", "forms.key"], "0o600"
    )
    assert (len(key), form_key(tmp_path)) == (32, key)
    store.close()


def test_of_many_who_make_the_key_all_have_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: form_key(tmp_path), range(32)))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["forms.key"]


def test_a_damaged_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "forms.key").write_bytes(b"short")
    with pytest.raises(StoreFault, match=r"forms\.key"):
        form_key(tmp_path)


def copy(folder: Path, of: str = "postgresql://db.example/sumun") -> Copy:
    path = folder / FILE_NAME
    return Copy(of, lambda first: read_private(path, MAX_OCTETS, first), lambda octets: write_private(path, octets))


def looking(store: Store, folder: Path, clock: Clock, of: str = "postgresql://db.example/sumun") -> Watch:
    return Watch(store, clock=clock, tell=print, copy=copy(folder, of))


def test_a_start_without_the_store_has_what_was_granted_until_it_ends(server: str, tmp_path: Path) -> None:
    """With a real server that is really stopped: what it said last holds, and not a second longer."""

    async def scenario(url: str) -> Watch:
        clock, store = Clock(), Store.at(url, tmp_path)
        store.give(acknowledged(), NOON)
        store.give(replace(acknowledged("A2", "10.0.0.8"), until=NOON + 2 * HOUR, reason="감사 \u2028 ★"), NOON)
        before = looking(store, tmp_path, clock)
        assert await before.look()
        store.close()
        return before

    with postgresql() as url:
        before = asyncio.run(scenario(url))

    async def after() -> None:
        clock = Clock()
        down = Store.at(url, tmp_path)
        started = looking(down, tmp_path, clock)
        assert await started.look() is False
        assert not started.is_available
        for client in ("10.0.0.7", "10.0.0.8"):
            assert started.current.concern(ip_address(client))
        assert not started.current.concern(ip_address("10.0.0.9"))
        held = next(iter(started.current._passes.values())).by_client
        assert held == next(iter(before.current._passes.values())).by_client, "the very same grants"
        clock.pass_(hours=1)
        later = looking(down, tmp_path, clock)
        assert [later.current.concern(ip_address(client)) for client in ("10.0.0.7", "10.0.0.8")] == [False, True]
        down.close()

    asyncio.run(after())
    assert oct((tmp_path / FILE_NAME).stat().st_mode & 0o777) == "0o600"
    assert b"postgresql" not in (tmp_path / FILE_NAME).read_bytes(), "nor the password in a URL"


def test_what_was_revoked_is_not_in_the_copy(store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        watch = looking(store, tmp_path, Clock())
        store.give(acknowledged(), NOON)
        await watch.look()
        assert copy(tmp_path).grants(NOON).concern(ip_address("10.0.0.7"))
        store.revoke("A1", NOON)
        await watch.look()
        assert not copy(tmp_path).grants(NOON)

    asyncio.run(scenario())


def test_a_process_that_is_told_the_same_does_not_write_it_again(store: Store, tmp_path: Path) -> None:
    async def scenario() -> None:
        store.give(acknowledged(), NOON)
        await looking(store, tmp_path, Clock()).look()
        before = (tmp_path / FILE_NAME).stat().st_ino
        await looking(store, tmp_path, Clock()).look()
        assert (tmp_path / FILE_NAME).stat().st_ino == before

    asyncio.run(scenario())


@pytest.mark.parametrize("damage", ["another store", "cut", "noise", "a list", "world-writable", "a client of no kind"])
def test_a_copy_that_cannot_be_trusted_grants_nothing(store: Store, tmp_path: Path, damage: str) -> None:
    store.give(acknowledged(), NOON)
    asyncio.run(looking(store, tmp_path, Clock()).look())
    path = tmp_path / FILE_NAME
    octets = path.read_bytes()
    assert copy(tmp_path).grants(NOON), "the control"
    changed = {"cut": octets[:-9], "noise": b"\xff\x00{", "a list": b"[]\n[]",
               "a client of no kind": octets.replace(b"10.0.0.7", b"10.0.0.x")}  # fmt: skip
    path.write_bytes(changed.get(damage, octets))
    if damage == "world-writable":
        path.chmod(0o666)
    of = "postgresql://other.example/sumun" if damage == "another store" else "postgresql://db.example/sumun"
    assert not copy(tmp_path, of).grants(NOON)
