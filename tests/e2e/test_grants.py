"""Exemptions, warnings and approvals with the whole filter: two workers of each role, and the commands."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.test_running import MILITARY, Filter, await_ready, blocking_ede, filtering
from tests.support import configs
from tests.support.running import SUMUN, children

pytestmark = pytest.mark.e2e
CHAT, DEEPSEEK = "chatgpt.com", "chat.deepseek.com"
HQ, OTHER = "127.0.0.1", "127.0.0.4"
BLOCKED, PASSED = "403", "200"


def segments() -> dict[str, Any]:
    found: dict[str, Any] = configs.variant()["segments"]
    found["hq-network"]["networks"].append("127.0.0.4/32")
    found["hq-network"]["rules"] = [
        {"id": "think", "action": "warn", "services": ["chatgpt"], "ttl": "1h"},
        {"id": "why", "action": "justify", "services": ["deepseek"], "ttl": "1h", "approver": "Security Desk"},
    ]
    return found


@pytest.fixture(scope="module")
def filter_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filter]:
    with filtering(tmp_path_factory.mktemp("grants"), segments=segments()) as found:
        yield found


def exempt(filter_: Filter, *words: str) -> Any:
    command = [*SUMUN, "exempt", *words, "--json", "-c", str(filter_.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def status(filter_: Filter, client: str, name: str) -> str:
    """Over a connection of its own each time, so that either worker may answer."""
    return filter_.curl(client, "-k", f"https://{name}:{filter_.origin_https}/")


def everywhere(filter_: Filter, client: str, name: str, expected: str) -> None:
    """Wait until every one of many connections is answered so: each worker looks at the store four times a second."""
    wait_for(lambda: {status(filter_, client, name) for _ in range(12)} == {expected})


def dns_blocks(filter_: Filter, client: str, name: str, expected: bool) -> None:
    """Wait until DNS answers with our own address (an extended error says so), or not, from all of its workers."""
    wait_for(lambda: {bool(blocking_ede(filter_.ask(client, name))) for _ in range(12)} == {expected})


def page(filter_: Filter, client: str, url: str, *words: str) -> str:
    command = ["curl", "-sk", "-i", "--interface", client, "-x", filter_.proxy, "-H", "Accept: text/html", *words, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def submit(filter_: Filter, client: str, name: str, **fields: str) -> str:
    """Fill in the form of the page at this name, and send it."""
    root = f"https://{name}:{filter_.origin_https}"
    shown = page(filter_, client, f"{root}/")
    action = re.search(r'<form method="post" action="([^"]+)">', shown)
    ticket = re.search(r'name="ticket" value="([^"]+)"', shown)
    assert action, shown
    assert ticket, shown
    sent = {"ticket": unescape(ticket[1]), **fields}
    data = [word for key, value in sent.items() for word in ("--data-urlencode", f"{key}={value}")]
    return page(filter_, client, root + action[1], *data)


def test_an_exemption_holds_at_once_and_ends_at_once(filter_: Filter) -> None:
    assert status(filter_, MILITARY, DEEPSEEK) == BLOCKED
    dns_blocks(filter_, MILITARY, DEEPSEEK, True)
    words = ["--service", "deepseek", "--until", "8h", "--reason", "audit", "--approver", "Kim"]
    given = exempt(filter_, "add", "--client", MILITARY, *words)
    everywhere(filter_, MILITARY, DEEPSEEK, PASSED)
    dns_blocks(filter_, MILITARY, DEEPSEEK, False)
    assert min(a.ttl for a in filter_.ask(MILITARY, DEEPSEEK).answer) <= 30, "a cache would outlive a revocation"
    exempt(filter_, "revoke", given["id"], "--by", "Lee")
    everywhere(filter_, MILITARY, DEEPSEEK, BLOCKED)
    dns_blocks(filter_, MILITARY, DEEPSEEK, True)


def test_an_exemption_expires_at_its_second_and_takes_running_connections_with_it(filter_: Filter) -> None:
    until = datetime.now(UTC) + timedelta(seconds=20)  # noqa: TID251 - the filter is a process with a clock of its own
    words = ["--service", "deepseek", "--reason", "audit", "--approver", "Kim"]
    exempt(filter_, "add", "--client", MILITARY, "--until", until.isoformat(), *words)
    everywhere(filter_, MILITARY, DEEPSEEK, PASSED)
    with subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-bind", MILITARY, "-proxy", filter_.proxy.removeprefix("http://"),
         "-connect", f"{DEEPSEEK}:{filter_.origin_https}", "-servername", DEEPSEEK],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as tunnel:  # fmt: skip
        assert {a.ttl <= 20 for a in filter_.ask(MILITARY, DEEPSEEK).answer} == {True}
        tunnel.wait(60)
    ended = datetime.now(UTC)  # noqa: TID251 - see above
    assert ended >= until
    assert status(filter_, MILITARY, DEEPSEEK) == BLOCKED
    dns_blocks(filter_, MILITARY, DEEPSEEK, True)
    await_event(filter_, "exemption_expired")
    assert [e["event"]["action"] for e in filter_.running.events()].count("exemption_expired") == 1


def test_a_confirmed_warning_survives_the_end_of_every_process(filter_: Filter) -> None:
    assert status(filter_, HQ, CHAT) == BLOCKED
    sent = submit(filter_, HQ, CHAT)
    assert " 303 " in sent
    everywhere(filter_, HQ, CHAT, PASSED)
    assert status(filter_, OTHER, CHAT) == BLOCKED
    heard = len(filter_.running.said)
    for pid in children(filter_.running.process.pid):
        os.kill(pid, signal.SIGKILL)
    for role in ("dns-0", "dns-1", "proxy-0", "proxy-1", "console-0"):
        filter_.running.await_said(f"{role}: policy", after=heard)
    await_ready(filter_)
    assert {status(filter_, HQ, CHAT) for _ in range(8)} == {PASSED}
    dns_blocks(filter_, HQ, CHAT, False)
    dns_blocks(filter_, OTHER, CHAT, True)


def test_a_justification_waits_for_its_approver_and_ends_on_time(filter_: Filter) -> None:
    reason = "Comparing summaries of published law for the yearly report"
    assert " 303 " in submit(filter_, HQ, DEEPSEEK, purpose="research", reason=reason)
    root = f"https://{DEEPSEEK}:{filter_.origin_https}/"
    shown = page(filter_, HQ, root)
    assert "Your request waits for approval (Security Desk)" in shown
    assert "<form" not in shown
    (asked,) = exempt(filter_, "list")["waiting"]
    assert (asked["client"], asked["reason"], asked["purpose"]) == (HQ, reason, "research")
    assert status(filter_, HQ, DEEPSEEK) == BLOCKED
    until = datetime.now(UTC) + timedelta(seconds=20)  # noqa: TID251 - the filter is a process with a clock of its own
    exempt(filter_, "approve", asked["id"], "--until", until.isoformat(), "--by", "Park")
    everywhere(filter_, HQ, DEEPSEEK, PASSED)
    while datetime.now(UTC) < until:  # noqa: TID251 - see above
        threading.Event().wait(0.05)
    assert {status(filter_, HQ, DEEPSEEK) for _ in range(6)} == {BLOCKED}
    actions = [event["event"]["action"] for event in filter_.running.events()]
    assert [actions.count(f"justification_{change}") for change in ("asked", "given")] == [1, 1]


def test_a_denied_justification_is_said_and_can_be_asked_again(filter_: Filter) -> None:
    submit(filter_, OTHER, DEEPSEEK, purpose="other", reason="I would like to try it out for myself")
    (asked,) = exempt(filter_, "list")["waiting"]
    exempt(filter_, "deny", asked["id"])
    wait_for(lambda: "was not approved" in page(filter_, OTHER, f"https://{DEEPSEEK}:{filter_.origin_https}/"))
    assert "<form" in page(filter_, OTHER, f"https://{DEEPSEEK}:{filter_.origin_https}/")


def decide(filter_: Filter, do: str) -> httpx.Response:
    """Press a button of the console's page, as a browser does."""
    url = f"{filter_.running.console}/grants"
    shown = httpx.get(url).text
    ticket = re.search(r'name="ticket" value="([^"]+)"', shown)
    assert ticket, shown
    fields = {"ticket": unescape(ticket[1]), "by": "Park Ji-won", "do": do}
    return httpx.post(url, data=fields, headers={"Origin": filter_.running.console})


def test_an_approval_on_the_console_is_an_approval(filter_: Filter) -> None:
    reason = "Checking one published translation for the press office"
    assert " 303 " in submit(filter_, OTHER, DEEPSEEK, purpose="translation", reason=reason)
    (asked,) = exempt(filter_, "list")["waiting"]
    assert reason in httpx.get(f"{filter_.running.console}/grants").text
    assert status(filter_, OTHER, DEEPSEEK) == BLOCKED
    assert decide(filter_, f"approve {asked['id']}").status_code == 303
    everywhere(filter_, OTHER, DEEPSEEK, PASSED)
    assert decide(filter_, f"revoke {asked['id']}").status_code == 303
    everywhere(filter_, OTHER, DEEPSEEK, BLOCKED)

    def mine() -> list[dict[str, Any]]:
        grants = [e["sumun"]["grant"] for e in filter_.running.events() if "grant" in e["sumun"]]
        return [grant for grant in grants if grant["id"] == asked["id"]]

    wait_for(lambda: any("change" not in grant for grant in mine()))  # each use is an event that names the grant
    changes = [(grant["change"], grant.get("by")) for grant in mine() if "change" in grant]
    assert changes == [("asked", None), ("given", "Park Ji-won"), ("revoked", "Park Ji-won")]


def test_a_request_for_review_is_listed_and_closed(filter_: Filter) -> None:
    text = "The approved tool cannot read the drawings <script>alert(1)</script>"
    assert "was received" in submit(filter_, MILITARY, DEEPSEEK, reason=text)
    (review,) = exempt(filter_, "reviews")["reviews"]
    assert (review["client"], review["rule"], review["text"]) == (MILITARY, "no-generative-ai", text)
    assert re.fullmatch(r"[0-9A-Z-]{19}", review["incident"])
    assert exempt(filter_, "reviews", "--close", review["id"])["reviews"] == []


def test_the_counts_of_decisions_still_add_up(filter_: Filter) -> None:
    wait_for(lambda: filter_.running.logged() != {} and "exemption_given" in str(filter_.running.events()))
    page_ = filter_.running.metrics()
    assert 'sumun_grant_changes_total{change="given",kind="acknowledgement"} 1.0' in page_
    assert 'sumun_store_up{kind="sqlite"} 1.0' in page_


def await_event(filter_: Filter, action: str) -> None:
    wait_for(lambda: any(e["event"]["action"] == action for e in filter_.running.events()))


def wait_for(true: Callable[[], bool], limit: float = 30) -> None:
    """Ask until it is so: there is no event to wait for from outside."""
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.05)


def test_the_store_is_private(filter_: Filter) -> None:
    for name in ("sumun.db", "forms.key"):
        assert Path(filter_.running.state / name).stat().st_mode & 0o777 == 0o600
