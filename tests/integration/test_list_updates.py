"""A bad update never lands: each kind for its own reason, the copy at hand stays, and a good one heals it."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import stat
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from sumun.catalogue.guard import Guard
from sumun.config.settings import ListSource
from sumun.loading.fetch import Fetcher, Limits
from sumun.loading.outcome import Outcome
from sumun.loading.record import ListStore, Record
from sumun.loading.update import Updater
from sumun.model.name import DomainName
from tests.support.list_server import (
    HTML,
    ListServer,
    Reply,
    announcing,
    connect_proxy,
    list_server,
    loopback,
    names,
    never_ending,
    no_http,
    serving,
    status,
    truncated,
)
from tests.support.origins import OriginCA
from tests.support.signing import Signer

pytestmark = pytest.mark.integration

GOOD = names(1000)
LIMITS = Limits(octets=2_000_000, seconds=5.0, connect=2.0, redirections=3, attempts=2, pause=0.0)
MONDAY = "Mon, 05 Jan 2026 12:00:00 GMT"
SUNDAY = "Sun, 04 Jan 2026 12:00:00 GMT"
GUARD = Guard([DomainName("login.cloud.example")])


def ticking() -> Callable[[], datetime]:
    """A clock that is a minute later each time it is asked."""
    moments: Iterator[datetime] = iter(datetime(2026, 1, 5, 12, tzinfo=UTC) + timedelta(minutes=n) for n in range(999))
    return lambda: next(moments)


def updater(folder: Path, limits: Limits = LIMITS, tls: ssl.SSLContext | None = None, proxy: str = "") -> Updater:
    fetcher = Fetcher(loopback, tls or ssl.create_default_context(), proxy_for=lambda host: proxy, limits=limits)
    return Updater(fetcher, ListStore(folder), lambda source: GUARD, ticking())


def source(server: ListServer, **more: object) -> ListSource:
    return replace(ListSource("far", "domains", url=server.url), **more)  # type: ignore[arg-type]  # keys of a test


def bomb() -> bytes:
    return gzip.compress(b"n.example\n" * 1_000_000)


BAD: dict[str, tuple[Reply, Outcome, str]] = {
    "html": (serving(HTML, Content_Type="text/html"), Outcome.HTML, "it is a web page"),
    "html that says it is text": (serving(HTML, Content_Type="text/plain"), Outcome.HTML, "it is a web page"),
    "0 octets": (serving(""), Outcome.EMPTY, "it is empty"),
    "comments only": (serving("# nothing\n"), Outcome.EMPTY, "it has no entries in the format `domains`: 0 lines"),
    "truncated": (truncated(GOOD), Outcome.TRUNCATED, "the answer is broken off"),
    "gzip truncated": (
        serving(gzip.compress(GOOD.encode())[:-50], Content_Encoding="gzip"), Outcome.TRUNCATED, "gzip broken off",
    ),
    "gzip damaged": (serving(b"\x1f\x8b" + b"x" * 99, Content_Encoding="gzip"), Outcome.ENCODING, "damaged gzip"),
    "unknown compression": (serving("x", Content_Encoding="br"), Outcome.ENCODING, "compressed in a way that was not"),
    "compression bomb": (
        serving(bomb(), Content_Encoding="gzip"), Outcome.TOO_LARGE, "more than 2,000,000 octets once decompressed",
    ),
    "announced too large": (announcing(3_000_000), Outcome.TOO_LARGE, "3,000,000 octets announced, 2,000,000 are"),
    "ten times the size": (serving(names(10_000)), Outcome.GREW, "10,000 entries, 900 % more than the 1,000 at hand"),
    "a tenth of the size": (serving(names(100)), Outcome.SHRANK, "100 entries, 90 % fewer than the 1,000 at hand"),
    "never-ending": (never_ending(b"n.example\n" * 9000, wait=0), Outcome.TOO_LARGE, "more than 2,000,000 octets"),
    "500": (status("500 Internal Server Error"), Outcome.STATUS, "the server answered 500"),
    "404": (status("404 Not Found"), Outcome.STATUS, "the server answered 404"),
    "redirected in a circle": (status("302 Found", Location="/list.txt"), Outcome.REDIRECTED, "redirected in a circle"),
    "redirected to a file": (status("302 Found", Location="file:///etc/passwd"), Outcome.REDIRECTED, "redirected: "),
    "redirected in the clear": (
        status("301 Moved", Location="http://lists.example/"), Outcome.REDIRECTED, "anybody on the way could change",
    ),
    "not utf-8": (serving("a.example\n수문\n".encode("euc-kr")), Outcome.ENCODING, "line 2 is not UTF-8"),
    "another format": (serving("0.0.0.0 a.example\n" * 99 + GOOD[:100]), Outcome.REFUSALS, "% of its lines are"),
    "played back": (serving(names(999), Last_Modified=SUNDAY), Outcome.OLDER, "it is of 2026-01-04 12:00: the one at"),
    "no http": (no_http, Outcome.UNREACHABLE, "the answer is broken off or no HTTP"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_update_is_refused_for_its_own_reason_and_healed_by_a_good_one(case: str, tmp_path: Path) -> None:
    reply, outcome, message = BAD[case]

    async def story() -> list[Record]:
        async with list_server(serving(GOOD, Last_Modified=MONDAY)) as server:
            ours, records = updater(tmp_path), []
            for answer in (server.replies["/list.txt"], reply, serving(names(1100), Last_Modified=MONDAY)):
                server.replies["/list.txt"] = answer
                records.append(await ours.update(source(server)))
                if answer is reply:
                    assert ListStore(tmp_path).copy("far").read_text() == GOOD
            return records

    first, refused, healed = asyncio.run(story())
    assert (first.outcome, first.entries, first.message) == (Outcome.UPDATED, 1000, "")
    assert refused.outcome == outcome, refused.message
    assert message in refused.message
    assert (refused.failures, refused.sha256, refused.confirmed_at) == (1, first.sha256, first.confirmed_at)
    assert (healed.outcome, healed.entries, healed.failures) == (Outcome.UPDATED, 1100, 0)
    assert ListStore(tmp_path).record("far") == healed


def test_a_server_that_drips_is_given_up(tmp_path: Path) -> None:
    async def story() -> Record:
        async with list_server(never_ending(b"n", wait=0.05)) as server:
            return await updater(tmp_path, replace(LIMITS, seconds=0.3)).update(source(server))

    record = asyncio.run(story())
    assert (record.outcome, record.message) == (Outcome.TOO_SLOW, "not finished within 0.3 s")


def test_redirections_are_followed_so_far(tmp_path: Path) -> None:
    async def story(steps: int) -> Record:
        async with list_server() as server:
            server.replies = {f"/{n}": status("302 Found", Location=f"/{n + 1}") for n in range(steps)}
            server.replies[f"/{steps}"] = serving(GOOD)
            return await updater(tmp_path).update(replace(source(server), url=server.url.replace("list.txt", "0")))

    assert asyncio.run(story(3)).outcome == Outcome.UPDATED
    assert asyncio.run(story(4)).message == "redirected more than 3 times"


def test_what_is_at_hand_is_not_sent_again(tmp_path: Path) -> None:
    async def story() -> tuple[list[Record], ListServer]:
        async with list_server(serving(GOOD)) as server:
            return [await updater(tmp_path).update(source(server)) for _ in range(2)], server

    (first, second), server = asyncio.run(story())
    assert (first.outcome, second.outcome) == (Outcome.UPDATED, Outcome.UNCHANGED)
    assert server.asked[1][1]["if-none-match"] == first.etag != ""
    assert second.taken_at == first.taken_at
    for name in ("far.txt", "far.json"):
        assert stat.S_IMODE((tmp_path / "lists" / name).stat().st_mode) == 0o600


def test_validators_that_cannot_be_sent_back_are_forgotten(tmp_path: Path) -> None:
    async def tagged(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        head = 'HTTP/1.1 200 OK\r\nETag: "\xe9"\r\nLast-Modified: ' + "x" * 2000 + "\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("latin-1") + GOOD.encode())

    async def story() -> tuple[list[Record], ListServer]:
        async with list_server(tagged) as server:
            return [await updater(tmp_path).update(source(server)) for _ in range(2)], server

    (first, second), server = asyncio.run(story())
    assert (first.etag, first.last_modified) == ("", "")
    assert (first.outcome, second.outcome) == (Outcome.UPDATED, Outcome.UNCHANGED)
    assert "if-none-match" not in server.asked[1][1]


def test_another_address_is_not_asked_with_validators_of_the_first(tmp_path: Path) -> None:
    async def story() -> ListServer:
        async with list_server(serving(GOOD)) as server:
            server.replies["/other.txt"] = serving(names(50))
            await updater(tmp_path).update(source(server))
            moved = replace(source(server), url=server.url.replace("list.txt", "other.txt"))
            assert (await updater(tmp_path).update(moved)).entries == 50
            return server

    assert "if-none-match" not in asyncio.run(story()).asked[1][1]


def test_a_passing_fault_is_tried_again_at_once(tmp_path: Path) -> None:
    async def story() -> Record:
        async with list_server() as server:

            async def once(asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
                server.replies["/list.txt"] = serving(GOOD)
                await status("503 Busy")(asked, writer)

            server.replies["/list.txt"] = once
            return await updater(tmp_path).update(source(server))

    assert asyncio.run(story()).outcome == Outcome.UPDATED


def test_a_pinned_list_is_that_version_or_none(tmp_path: Path) -> None:
    async def story() -> tuple[Record, Record]:
        async with list_server(serving(GOOD)) as server:
            pinned = source(server, sha256=sha256(GOOD.encode()).hexdigest())
            good = await updater(tmp_path).update(pinned)
            server.replies["/list.txt"] = serving(names(1001))
            return good, await updater(tmp_path).update(pinned)

    good, bad = asyncio.run(story())
    assert (good.outcome, bad.outcome) == (Outcome.UPDATED, Outcome.DIGEST)


def test_an_administrator_can_take_a_sudden_change(tmp_path: Path) -> None:
    async def story() -> tuple[Record, Record]:
        async with list_server(serving(GOOD)) as server:
            await updater(tmp_path).update(source(server))
            server.replies["/list.txt"] = serving(names(100))
            ours = updater(tmp_path)
            return await ours.update(source(server)), await ours.update(source(server), accept=True)

    refused, taken = asyncio.run(story())
    assert "`sumun lists update far --accept` takes it all the same" in refused.message
    assert (taken.outcome, taken.entries) == (Outcome.UPDATED, 100)


def signed(folder: Path, *versions: tuple[str, str | bytes], key: str) -> list[Record]:
    async def story() -> list[Record]:
        async with list_server() as server:
            records = []
            for content, signature in versions:
                server.replies = {"/list.txt": serving(content), "/list.txt.minisig": serving(signature)}
                records.append(await updater(folder).update(source(server, public_key=key)))
            return records

    return asyncio.run(story())


def test_signatures_of_minisign_hold_and_an_old_version_cannot_be_played_back(tmp_path: Path) -> None:
    signer, newer = Signer(), names(1010)
    old, new = (
        (GOOD, signer.minisign(GOOD, 1_700_000_000, prehashed=False)),
        (newer, signer.minisign(newer, 1_700_000_900)),
    )
    outcomes = [record.outcome for record in signed(tmp_path, old, new, old, key=signer.public_key)]
    assert outcomes == [Outcome.UPDATED, Outcome.UPDATED, Outcome.OLDER]
    assert ListStore(tmp_path).copy("far").read_text() == newer


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (lambda s: s.minisign(names(999), 1), "the signature is not one of this list by this key"),
        (lambda s: Signer().minisign(GOOD, 1), "the signature is not one of this list by this key"),
        (lambda s: s.minisign(GOOD, 1, key_id=b"another!"), "signed with another key than `public_key`"),
        (lambda s: s.minisign(GOOD, 1).replace("timestamp:1", "timestamp:2"), "the trusted comment"),
        (lambda s: HTML, "is not one of minisign"),
        (lambda s: s.minisign(GOOD, 1).replace("=", "?"), "the signature cannot be read"),
    ],
    ids=["another list", "another signer", "another key", "comment changed", "html", "damaged"],
)
def test_a_signature_that_does_not_hold_is_refused(
    signature: Callable[[Signer], str], message: str, tmp_path: Path
) -> None:
    signer = Signer()
    (record,) = signed(tmp_path, (GOOD, signature(signer)), key=signer.public_key)
    assert record.outcome == Outcome.SIGNATURE
    assert message in record.message


def test_a_bare_ed25519_signature_will_do(tmp_path: Path) -> None:
    signer = Signer()
    good, bad = signed(tmp_path, (GOOD, signer.sign(GOOD)), (names(999), signer.sign(GOOD)), key=signer.bare)
    assert (good.outcome, bad.outcome) == (Outcome.UPDATED, Outcome.SIGNATURE)


def over_tls[T](folder: Path, ask: Callable[[ListServer, ssl.SSLContext], Awaitable[T]]) -> T:
    """A server with the certificate of lists.example."""
    authority = OriginCA(folder)
    trusted = ssl.create_default_context(cafile=authority.path)

    async def story() -> T:
        async with list_server(serving(GOOD), authority.context("lists.example", alpn=("http/1.1",))) as server:
            return await ask(server, trusted)

    return asyncio.run(story())


def named(server: ListServer, host: str = "lists.example") -> ListSource:
    return source(server, url=server.url.replace("127.0.0.1", host))


def test_https_through_our_own_resolver(tmp_path: Path) -> None:
    async def ask(server: ListServer, trusted: ssl.SSLContext) -> tuple[Record, Record, Record]:
        return (
            await updater(tmp_path, tls=trusted).update(named(server)),
            await updater(tmp_path / "b", tls=trusted).update(named(server, "other.example")),
            await updater(tmp_path / "c").update(named(server)),
        )

    good, another_name, not_trusted = over_tls(tmp_path, ask)
    assert (good.outcome, good.entries) == (Outcome.UPDATED, 1000)
    for record in (another_name, not_trusted):
        assert record.outcome == Outcome.UNREACHABLE
        assert "certificate does not hold" in record.message


def test_https_through_a_proxy(tmp_path: Path) -> None:
    async def ask(server: ListServer, trusted: ssl.SSLContext) -> tuple[Record, Record, list[str]]:
        async with connect_proxy() as (port, heads), connect_proxy(allowed=False) as (closed, _):
            good = await updater(tmp_path, tls=trusted, proxy=f"http://kim:s%40@127.0.0.1:{port}").update(named(server))
            bad = await updater(tmp_path / "b", tls=trusted, proxy=f"http://127.0.0.1:{closed}").update(named(server))
            return good, bad, heads

    good, bad, heads = over_tls(tmp_path, ask)
    assert good.outcome == Outcome.UPDATED
    assert heads[0].startswith("CONNECT lists.example:")
    assert "Proxy-Authorization: Basic a2ltOnNA" in heads[0]
    assert (bad.outcome, bad.message) == (Outcome.UNREACHABLE, "proxy `127.0.0.1` answered 407 to CONNECT")


def test_a_host_that_does_not_resolve_is_said_so(tmp_path: Path) -> None:
    async def nowhere(name: DomainName) -> list[object]:
        raise OSError("no resolver answered")

    fetcher = Fetcher(nowhere, ssl.create_default_context(), limits=LIMITS)  # type: ignore[arg-type]  # never returns
    ours = Updater(fetcher, ListStore(tmp_path), lambda source: GUARD, ticking())
    record = asyncio.run(ours.update(ListSource("far", "domains", url="https://lists.example/")))
    assert record.message == "resolving `lists.example`: no resolver answered"
    assert record.failures == 1


def test_a_copy_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "lists").write_text("a file stands where the folder should be")

    async def story() -> Record:
        async with list_server(serving(GOOD)) as server:
            return await updater(tmp_path).update(source(server))

    assert asyncio.run(story()).outcome == Outcome.STORAGE
