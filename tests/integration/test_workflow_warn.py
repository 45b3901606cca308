"""A warning that is read, confirmed and remembered: over every way that a client comes to the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sumun.model.decision import Decision, Reason
from sumun.model.grant import Change, GrantKind
from sumun.model.verdict import Verdict
from sumun.policy.engine import Policy
from sumun.store.store import Store
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment
from tests.support.forms import Desk, form_of, serving
from tests.support.origins import Origin, OriginCA
from tests.support.proxies import Answer

pytestmark = pytest.mark.integration
HOST = "chatgpt.com"
WAYS = ["proxied http", "proxied https", "steered http", "steered https"]


def warned(**more: object) -> Policy:
    from datetime import timedelta

    rules = [rule("think", "warn", services=["chatgpt", "deepseek"], ttl=timedelta(hours=2), **more)]
    return policy(segment("office", "127.0.0.0/8", rules=rules), services=[CHATGPT, DEEPSEEK])


async def confirm(desk: Desk, url: str, *arguments: str, **how: object) -> Answer:
    shown = await desk.open(url, *arguments, **how)
    assert shown.status == 403, shown.complaint
    action, fields = form_of(shown)
    origin = "/".join(url.split("/")[:3])
    return await desk.send(origin + action, fields, *arguments, **how)


@pytest.mark.parametrize("http_version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("way", WAYS)
def test_one_click_continues_to_the_very_url(tmp_path: Path, way: str, http_version: str) -> None:
    async def scenario() -> None:
        ca, proxied, secure = OriginCA(tmp_path), way.startswith("proxied"), way.endswith("https")
        origin = Origin(context=ca.context(HOST) if secure else None)
        async with origin.serving(), serving(tmp_path, warned(), {HOST: "127.0.0.1"}, upstream_ca=ca.path) as desk:
            ours = desk.filter.https_port if secure else desk.filter.http_port
            port = origin.port if proxied else ours
            url = f"{'https' if secure else 'http'}://{HOST}:{port}/c/42?q=a%20b&x=%ED%95%9C"
            how: tuple[str, ...] = (http_version,)
            if not proxied:
                how += ("--resolve", f"{HOST}:{port}:127.0.0.1")
            went_on = await confirm(desk, url, *how, proxied=proxied)
            assert (went_on.status, went_on.headers["location"]) == (303, url)
            assert origin.requests == []
            if proxied:
                # what was confirmed is no longer decrypted: it is the origin's own certificate that is seen now
                seen = await desk.open(url, *how, "--cacert", str(ca.path), proxied=proxied)
                assert (seen.status, seen.text) == (200, "origin speaking")
                assert [request.path for request in origin.requests] == ["/c/42?q=a%20b&x=%ED%95%9C"]

    asyncio.run(scenario())


def test_it_is_remembered_for_its_time_for_one_client_and_asked_again_after(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Origin().serving() as origin, serving(tmp_path, warned(), {HOST: "127.0.0.1"}) as desk:
            url = f"http://{HOST}:{origin.port}/"
            assert (await confirm(desk, url)).status == 303
            assert (await desk.open(url)).status == 200
            assert (await desk.open(url, client="127.0.0.2")).status == 403
            desk.clock.pass_(hours=1, minutes=59, seconds=59)
            assert (await desk.open(url)).status == 200
            desk.clock.pass_(seconds=1)
            assert (await desk.open(url)).status == 403
            await desk.watch.look()
            await desk.watch.look()
            assert [(t.change, t.kind) for t in desk.told] == [
                (Change.GIVEN, GrantKind.ACKNOWLEDGEMENT), (Change.EXPIRED, GrantKind.ACKNOWLEDGEMENT),
            ]  # fmt: skip
            passed = [e for e in desk.filter.events.seen if e.verdict is Verdict.FORWARDED]
            outcomes = [e.outcome for e in passed]
            assert all(isinstance(o, Decision) and o.reason is Reason.ACKNOWLEDGED for o in outcomes)
            assert {o.grant for o in outcomes if isinstance(o, Decision)} == {desk.told[0].id}

    asyncio.run(scenario())


def test_another_process_knows_it_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Origin().serving() as origin:
            url, names = f"http://{HOST}:{origin.port}/", {HOST: "127.0.0.1"}
            async with serving(tmp_path, warned(), names) as one, serving(tmp_path, warned(), names) as other:
                assert (await confirm(one, url)).status == 303
                running = asyncio.create_task(other.watch.run())
                async with asyncio.timeout(20):  # four looks a second
                    while not other.watch.current:  # noqa: ASYNC110 - the watch has no event to wait for
                        await asyncio.sleep(0.01)
                running.cancel()
                assert (await other.open(url)).status == 200
            async with serving(tmp_path, warned(), names) as again:
                assert (await again.open(url)).status == 200

    asyncio.run(scenario())


def test_a_stopped_post_is_never_sent_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Origin().serving() as origin, serving(tmp_path, warned(), {HOST: "127.0.0.1"}) as desk:
            url = f"http://{HOST}:{origin.port}/prompt?x=1"
            shown = await desk.open(url, "--data", "secret")
            assert "will not be sent again by itself" in shown.text
            action, fields = form_of(shown)
            went_on = await desk.send(f"http://{HOST}:{origin.port}{action}", fields)
            assert went_on.headers["location"] == f"http://{HOST}:{origin.port}/"
            assert origin.requests == []

    asyncio.run(scenario())


def test_without_a_store_the_page_says_so_and_what_was_granted_holds(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Origin().serving() as origin, serving(tmp_path, warned(), {HOST: "127.0.0.1"}) as desk:
            url = f"http://{HOST}:{origin.port}/"
            before = await desk.open(url, client="127.0.0.9")
            assert (await confirm(desk, url)).status == 303
            desk.watch.store.close()
            desk.watch.store = Store.at("postgresql://nobody@127.0.0.1:1/none", tmp_path)
            assert await desk.watch.look() is False
            assert (await desk.open(url)).status == 200
            shown = await desk.open(url, client="127.0.0.9")
            assert "cannot let you continue just now" in shown.text
            assert "<form" not in shown.text
            action, fields = form_of(before)
            sent = await desk.send(f"http://{HOST}:{origin.port}{action}", fields, client="127.0.0.9")
            assert sent.status == 503
            assert "Nothing was recorded" in sent.text

    asyncio.run(scenario())


def test_a_program_is_told_where_a_person_can_go_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path, warned()) as desk:
            url = f"http://{HOST}/v1/chat/completions"
            answer = await desk.filter.curl("-H", "Accept: application/json", "--data", "{}", url)
            assert answer.status == 403
            assert f"https://{HOST}/" in answer.text
            assert answer.headers["x-should-retry"] == "false"

    asyncio.run(scenario())
