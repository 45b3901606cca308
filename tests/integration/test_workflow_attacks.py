"""What a hostile page, program or person tries with the forms: refused clearly, recorded once, executed nowhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sumun.cli.app import cli
from sumun.model.grant import Change
from sumun.pages.html import SCRIPT
from sumun.pages.offer import Ask
from sumun.pages.ticket import seal, unseal
from sumun.policy.engine import Policy
from sumun.store.key import form_key
from sumun.telemetry.grant_log import GrantLog
from sumun.telemetry.json_lines import JsonLines
from tests.support.builders import CHATGPT, DEEPSEEK, policy, rule, segment
from tests.support.forms import Desk, form_of, serving
from tests.support.origins import Origin

pytestmark = pytest.mark.integration
WARNED, ASKED, STOPPED = "chatgpt.com", "deepseek.com", "blocked.example"
REASON = "Comparing public summaries for the yearly report"


def office() -> Policy:
    rules = [
        rule("think", "warn", services=["chatgpt"]),
        rule("why", "justify", services=["deepseek"]),
        rule("never", "block", domains=[STOPPED]),
    ]
    return policy(segment("office", "127.0.0.0/8", rules=rules), services=[CHATGPT, DEEPSEEK])


def with_desk(folder: Path, scenario: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with serving(folder, office()) as desk:
            await scenario(desk)

    asyncio.run(run())


def nothing_was_granted(desk: Desk) -> bool:
    return not desk.store.grants(desk.clock()) and not desk.store.waiting() and not desk.store.reviews()


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-2] + ("AA" if text[-2:] != "AA" else "BB"),
        lambda text: "A" + text[1:],
        lambda text: text.partition(".")[0] + ".",
        lambda text: "." + text.partition(".")[2],
        lambda text: text + "\0",
        lambda text: "x" * 20_000,
        lambda text: text.replace(".", ".."),
    ],
    ids=["none", "signature", "payload", "no signature", "no payload", "NUL", "long", "two dots"],
)
def test_a_forged_ticket_is_refused_and_recorded_once(tmp_path: Path, change: Callable[[str], str]) -> None:
    async def scenario(desk: Desk) -> None:
        action, fields = form_of(await desk.open(f"http://{WARNED}/"))
        sent = await desk.send(f"http://{WARNED}{action}", {"ticket": change(fields["ticket"])})
        assert sent.status == 403
        assert "no longer valid" in sent.text
        assert nothing_was_granted(desk)
        assert [told.change for told in desk.told] == [Change.REFUSED]

    with_desk(tmp_path, scenario)


def test_a_ticket_signed_with_another_key_or_for_another_purpose_is_refused(tmp_path: Path) -> None:
    async def scenario(desk: Desk) -> None:
        _, fields = form_of(await desk.open(f"http://{ASKED}/"))
        key = form_key(tmp_path)
        ticket = unseal(fields["ticket"], key, "127.0.0.1", desk.clock())
        others = [
            (Ask.JUSTIFY, seal(ticket, b"x" * 32, "127.0.0.1")),
            (Ask.ACKNOWLEDGE, fields["ticket"]),
            (Ask.JUSTIFY, seal(replace(ticket, host="other.example"), key, "127.0.0.1")),
        ]
        for ask, text in others:
            data = {"ticket": text, "purpose": "research", "reason": REASON}
            sent = await desk.send(f"http://{ASKED}/.well-known/sumun/{ask}", data)
            assert sent.status == 403
        assert nothing_was_granted(desk)

    with_desk(tmp_path, scenario)


def test_another_clients_form_and_an_old_one_are_refused(tmp_path: Path) -> None:
    async def scenario(desk: Desk) -> None:
        action, fields = form_of(await desk.open(f"http://{WARNED}/"))
        assert (await desk.send(f"http://{WARNED}{action}", fields, client="127.0.0.2")).status == 403
        desk.clock.pass_(hours=1)
        assert (await desk.send(f"http://{WARNED}{action}", fields)).status == 403
        assert nothing_was_granted(desk)

    with_desk(tmp_path, scenario)


def test_a_form_that_is_sent_again_is_refused_even_after_its_grant_has_ended(tmp_path: Path) -> None:
    async def scenario(desk: Desk) -> None:
        action, fields = form_of(await desk.open(f"http://{WARNED}/c/1"))
        assert (await desk.send(f"http://{WARNED}{action}", fields)).status == 303
        again = await desk.send(f"http://{WARNED}{action}", fields)
        assert again.status == 409
        assert 'href="/c/1"' in again.text, "who clicked twice must not be lost"
        desk.store.revoke(desk.told[0].id, desk.clock())
        assert (await desk.send(f"http://{WARNED}{action}", fields)).status == 409
        assert nothing_was_granted(desk)

    with_desk(tmp_path, scenario)


@pytest.mark.parametrize(
    "header",
    [
        "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Sec-Fetch-Site: none", "Origin: https://evil.example",
        f"Origin: https://{WARNED}", f"Origin: http://{WARNED}.evil.example", "Origin: http://user@chatgpt.com",
    ],
)  # fmt: skip
def test_another_site_cannot_confirm_for_the_user(tmp_path: Path, header: str) -> None:
    async def scenario(desk: Desk) -> None:
        action, fields = form_of(await desk.open(f"http://{WARNED}/"))
        sent = await desk.send(f"http://{WARNED}{action}", fields, "-H", header)
        assert sent.status == 403
        assert "another website" in sent.text
        assert nothing_was_granted(desk)
        own = await desk.send(f"http://{WARNED}{action}", fields, "-H", f"Origin: http://{WARNED}")
        assert own.status == 303, "the control: our own page's form counts"

    with_desk(tmp_path, scenario)


def test_a_page_stands_in_no_frame_and_no_script_can_read_its_ticket(tmp_path: Path) -> None:
    async def scenario(desk: Desk) -> None:
        page = await desk.open(f"http://{WARNED}/", "-H", "Origin: https://evil.example")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in page.headers
        words = ("-H", "Accept: application/json", "-H", "Origin: https://evil.example")
        script = await desk.filter.curl(*words, f"http://{WARNED}/")
        assert "access-control-allow-origin" in script.headers, "the control: a script may read that it was stopped"
        assert "ticket" not in script.text

    with_desk(tmp_path, scenario)


@pytest.mark.parametrize(
    "path",
    [
        '/"><script>alert(1)</script>', "/?x=</textarea><script>alert(1)</script>", "//evil.example/",
        "/\\evil.example",
        "/%0d%0aSet-Cookie:%20x=1", "/./..//evil.example", "/" + "a" * 9000, "/.well-known/sumun/acknowledge",
    ],
    ids=lambda path: path[:20],
)  # fmt: skip
def test_the_way_on_stays_on_the_site_and_reflects_nothing(tmp_path: Path, path: str) -> None:
    async def scenario(desk: Desk) -> None:
        page = await desk.open(f"http://{WARNED}{path}", "--path-as-is", "-g")
        if page.status == 404:
            assert path.startswith("/.well-known/sumun/")
            return
        assert "<script" not in page.text.replace(f"<script>{SCRIPT}</script>", "")
        assert "evil.example" not in page.text
        action, fields = form_of(page)
        sent = await desk.send(f"http://{WARNED}{action}", fields)
        location = sent.headers["location"]
        assert sent.status == 303
        assert location.startswith(f"http://{WARNED}/")
        assert not location.removeprefix(f"http://{WARNED}").startswith(("//", "/\\"))
        assert "set-cookie" not in sent.headers
        assert location.isascii()
        assert location.isprintable()

    with_desk(tmp_path, scenario)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("x" * 10_000_000, 413), ("y" * 1001, 422), ("too short", 422), (" " * 500, 422), ("bell \x07" * 5, 422),
        ("escape \x1b[31m red \x1b[0m and more", 422), ("line\rfeed that would rewrite the line", 422),
        ("NUL \x00 in the middle of a text", 422), ("right to left \u202e override here", 422),
    ],
    ids=lambda value: repr(value)[:24],
)  # fmt: skip
def test_a_reason_that_is_no_text_is_refused_and_recorded_once(tmp_path: Path, reason: str, status: int) -> None:
    async def scenario(desk: Desk) -> None:
        action, fields = form_of(await desk.open(f"http://{ASKED}/"))
        sent = await desk.send(f"http://{ASKED}{action}", fields | {"purpose": "research", "reason": reason})
        assert sent.status == status
        assert "Nothing was recorded" in sent.text
        assert [told.change for told in desk.told] == [Change.REFUSED]
        assert nothing_was_granted(desk)
        right = await desk.send(f"http://{ASKED}{action}", fields | {"purpose": "research", "reason": REASON})
        assert right.status == 303, "the control: what was refused did not use the form up"

    with_desk(tmp_path, scenario)


def test_a_purpose_is_one_of_the_choices(tmp_path: Path) -> None:
    async def scenario(desk: Desk) -> None:
        action, fields = form_of(await desk.open(f"http://{ASKED}/"))
        for purpose in ("", "fun", "research\n"):
            sent = await desk.send(f"http://{ASKED}{action}", fields | {"purpose": purpose, "reason": REASON})
            assert sent.status == 422
        assert nothing_was_granted(desk)

    with_desk(tmp_path, scenario)


def test_a_stored_script_is_text_in_log_and_terminal(tmp_path: Path) -> None:
    text = "<script>alert(1)</script> [red]{{7*7}}[/] needs review & more"

    async def scenario(desk: Desk) -> None:
        action, fields = form_of(await desk.open(f"http://{STOPPED}/"))
        sent = await desk.send(f"http://{STOPPED}{action}", fields | {"reason": text})
        assert sent.status == 200
        assert "alert(1)" not in sent.text
        (review,) = desk.store.reviews()
        assert (review.text, review.subject.name) == (text, STOPPED)
        log = GrantLog(JsonLines(tmp_path / "events.jsonl"))
        for told in desk.told:
            log(told)

    with_desk(tmp_path, scenario)
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line)["sumun"]["grant"]["reason"] == text
    config = tmp_path / "sumun.yaml"
    config.write_text(f"version: 1\nstate: {tmp_path}\nsegments: {{office: {{networks: [127.0.0.0/8]}}}}\n")
    shown = CliRunner().invoke(cli, ["exempt", "reviews", "-c", str(config)])
    assert shown.exit_code == 0


def test_nothing_under_the_reserved_path_reaches_an_origin(tmp_path: Path) -> None:
    async def run() -> None:
        async with Origin().serving() as origin, serving(tmp_path, office(), {"ok.example": "127.0.0.1"}) as desk:
            base = f"http://ok.example:{origin.port}"
            assert (await desk.open(f"{base}/")).status == 200
            for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST"):
                words = ["-I"] if method == "HEAD" else ["-X", method]
                for name in ("", "acknowledge", "justify/x", "review?x=1", "%61cknowledge"):
                    answer = await desk.filter.curl(*words, f"{base}/.well-known/sumun/{name}")
                    assert answer.status in (403, 404), (method, name)
            assert [request.path for request in origin.requests] == ["/"]

    asyncio.run(run())


def test_a_stranger_gets_no_form_and_can_send_none(tmp_path: Path) -> None:
    async def run() -> None:
        narrow = policy(
            segment("office", "127.0.0.1/32", rules=[rule("think", "warn", services=["chatgpt"])]), services=[CHATGPT]
        )
        async with serving(tmp_path, narrow) as desk:
            action, fields = form_of(await desk.open(f"http://{WARNED}/"))
            sent = await desk.send(f"http://{WARNED}{action}", fields, client="127.0.0.9")
            assert sent.status == 403
            assert "<form" not in sent.text
            assert nothing_was_granted(desk)

    asyncio.run(run())


def test_a_form_with_two_hosts_is_refused(tmp_path: Path) -> None:
    async def scenario(desk: Desk) -> None:
        action, fields = form_of(await desk.open(f"http://{WARNED}/"))
        sent = await desk.send(f"http://{WARNED}{action}", fields, "-H", "Host: evil.example")
        assert sent.status == 403
        assert nothing_was_granted(desk)

    with_desk(tmp_path, scenario)


def test_a_flood_of_forged_forms_is_counted_and_fills_no_log(tmp_path: Path) -> None:
    async def scenario(desk: Desk) -> None:
        url = f"http://{WARNED}/.well-known/sumun/acknowledge"
        answers = await desk.filter.curl_each("--data", "ticket=x", *[url] * 50)
        assert {answer.status for answer in answers} == {403}
        assert len(desk.told) == 20
        assert desk.filter.count("grant_changes_total", kind="review", change="refused") == 30

    with_desk(tmp_path, scenario)
