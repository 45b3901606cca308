from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html import unescape
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from starlette.applications import Starlette

from sumun.console.app import application
from sumun.console.form import LIMIT
from sumun.console.grants import GrantsPage
from sumun.console.readiness import Readiness
from sumun.console.view import LoadedView
from sumun.model.grant import Change, Grant, GrantChanged, GrantKind, Justification, ReviewRequest, Subject
from sumun.model.rule import Exemption
from sumun.store.desk import Desk
from sumun.store.store import Form, Store
from tests.support.builders import NOON
from tests.support.forms import Clock
from tests.unit.console.asgi import Answer, ask

OWN = {
    "origin": "http://127.0.0.1:8090",
    "sec-fetch-site": "same-origin",
    "content-type": "application/x-www-form-urlencoded",
}
SUBJECT = Subject(ip_address("10.20.0.7"), "office", "why", "deepseek")
EXEMPTED = Grant(
    "1KA8-0000-0000-000E", GrantKind.EXEMPTION, NOON + timedelta(hours=2), "chatgpt", client=ip_network("10.20.0.0/24"),
    reason="audit", approver="Kim, CISO", given=NOON,
)  # fmt: skip
ASKED = Justification(
    "1KA8-0000-0000-000J", SUBJECT, "Security Desk", "for the yearly report", "research", 8 * 3600, NOON
)  # fmt: skip
REVIEW = ReviewRequest(
    "1KA8-0000-0000-000R", replace(SUBJECT, rule="never"), "1KA8-PGF8-T1V3-2R40", "we need it for the tender", NOON
)  # fmt: skip


@dataclass
class Office:
    store: Store
    clock: Clock
    told: list[GrantChanged] = field(default_factory=list)
    view: LoadedView = field(default_factory=lambda: LoadedView("r1", [], zone=ZoneInfo("Asia/Seoul")))

    def __post_init__(self) -> None:
        page = GrantsPage(
            desk=Desk(self.store, self.told.append), key=b"k" * 32, loaded=lambda: self.view, clock=self.clock
        )
        readiness = Readiness(lambda: self.view, {}, clock=self.clock)
        self.app: Starlette = application(
            metrics=bytes, readiness=readiness, clock=self.clock, areas=page.routes(), hosts=["sumun.example"]
        )

    def get(self, query: str = "", **how: Any) -> Answer:
        return asyncio.run(ask(self.app, "/grants", query=query, **how))

    def send(self, fields: dict[str, str], headers: dict[str, str] = OWN, **how: Any) -> Answer:
        return asyncio.run(
            ask(self.app, "/grants", method="POST", headers=headers, body=urlencode(fields).encode(), **how)
        )

    def form(self, do: str, **more: str) -> dict[str, str]:
        """The form of a page just shown, filled in."""
        ticket = re.search(r'name="ticket" value="([^"]+)"', self.get().body.decode())
        assert ticket
        return {"ticket": unescape(ticket[1]), "by": "Park", "do": do, **more}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    found = Office(Store.at("", tmp_path), Clock())
    found.store.give(EXEMPTED, NOON)
    found.store.ask(ASKED, Form("n1", NOON + timedelta(hours=1)))
    found.store.ask_review(REVIEW, Form("n2", NOON + timedelta(hours=1)))
    yield found
    found.store.close()


def test_it_lists_who_waits_who_asks_and_who_is_let_through(office: Office) -> None:
    office.view = replace(
        office.view, exemptions=(
            Exemption("audit", "gemini", NOON + timedelta(days=1), user="lee", reason="yearly audit", approver="Kim"),
            Exemption("over", "copilot", NOON),
        )
    )  # fmt: skip
    page = office.get()
    text = page.body.decode()
    assert page.status == 200
    for wanted in (
        "10.20.0.7</bdi> asks for <bdi>deepseek", "for the yearly report", "Security Desk", "8 hours from now",
        "we need it for the tender", "1KA8-PGF8-T1V3-2R40", "10.20.0.0/24", "Kim, CISO", "Mon 2026-01-05 23:00 KST",
        "user lee", "in the configuration", "Waiting for approval (1)", "Requests for review (1)", "In force (2)",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert "copilot" not in text


def test_a_user_is_named_where_one_is_known(office: Office) -> None:
    theirs = replace(ASKED, id="U1", subject=replace(SUBJECT, user="lee <b>"))
    office.store.ask(theirs, Form("u1", NOON))
    assert "<dt>User</dt><dd><bdi>lee &lt;b&gt;</bdi>" in office.get().body.decode()
    assert office.send(office.form("approve U1")).status == 303
    assert "user lee &lt;b&gt;" in office.get().body.decode()


def test_an_empty_desk_says_so(tmp_path: Path) -> None:
    text = Office(Store.at("", tmp_path), Clock()).get().body.decode()
    assert all(words in text for words in ("Nobody waits.", "None is open.", "Nobody is let past a rule."))


def test_approved_it_holds_for_the_rules_own_length_and_is_told(office: Office) -> None:
    sent = office.send(office.form(f"approve {ASKED.id}"))
    assert sent.status == 303
    (grant,) = (held for held in office.store.grants(NOON) if held.id == ASKED.id)
    assert (grant.until, grant.approver, grant.reason) == (NOON + timedelta(hours=8), "Park", ASKED.reason)
    assert [(told.change, told.kind, told.by, told.id) for told in office.told] == [
        (Change.GIVEN, GrantKind.JUSTIFICATION, "Park", ASKED.id)
    ]
    after = office.get(sent.headers["location"].partition("?")[2]).body.decode()
    assert "Approved: 10.20.0.7 may use deepseek until Mon 2026-01-05" in after.replace(
        "Tue 2026-01-06", "Mon 2026-01-05"
    )
    assert 'value="Park"' in after, "the name need not be typed again"
    assert "Waiting for approval (0)" in after


def test_approved_until_a_time(office: Office) -> None:
    office.send(office.form(f"approve {ASKED.id}", **{f"until {ASKED.id}": "2026-01-07 18:00"}))
    (grant,) = (held for held in office.store.grants(NOON) if held.id == ASKED.id)
    assert grant.until == datetime(2026, 1, 7, 9, tzinfo=UTC), "as people of the zone read it"


@pytest.mark.parametrize("until", ["soon", "1999-01-01", "<script>alert(1)</script>", "2w3"])
def test_an_end_that_cannot_be_read_is_refused(office: Office, until: str) -> None:
    sent = office.send(office.form(f"approve {ASKED.id}", **{f"until {ASKED.id}": until}))
    assert sent.status == 422
    assert b"Nothing was changed" in sent.body
    assert b"<script" not in sent.body
    assert (office.store.waiting(), office.told) == ([ASKED], [])


def test_turned_down_revoked_and_closed(office: Office) -> None:
    for do in (f"deny {ASKED.id}", f"revoke {EXEMPTED.id}", f"close {REVIEW.id}"):
        assert office.send(office.form(do)).status == 303
    assert (office.store.waiting(), office.store.grants(NOON), office.store.reviews()) == ([], [], [])
    assert [(told.change, told.kind, told.by) for told in office.told] == [
        (Change.DENIED, GrantKind.JUSTIFICATION, "Park"),
        (Change.REVOKED, GrantKind.EXEMPTION, "Park"),
        (Change.CLOSED, None, "Park"),
    ]


def test_a_form_counts_once(office: Office) -> None:
    form = office.form(f"deny {ASKED.id}")
    assert [office.send(form).status for _ in range(2)] == [303, 409]
    assert office.send(form | {"do": f"revoke {EXEMPTED.id}"}).status == 409, "nor for anything else"
    assert (office.store.grants(NOON), len(office.told)) == ([EXEMPTED], 1)


def test_who_is_slower_is_told(office: Office) -> None:
    mine = office.form(f"approve {ASKED.id}")
    assert office.send(office.form(f"deny {ASKED.id}")).status == 303
    slower = office.send(mine)
    assert slower.status == 409
    assert b"Settled already" in slower.body
    assert [told.change for told in office.told] == [Change.DENIED]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}, {"origin": "null"}, {"origin": ""},
        {"origin": "http://127.0.0.1:8091", "sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"},
        {"origin": "http://127.0.0.1:8090.evil.example"},
    ],
    ids=str,
)  # fmt: skip
def test_another_site_cannot_decide(office: Office, headers: dict[str, str]) -> None:
    sent = office.send(office.form(f"approve {ASKED.id}"), OWN | headers)
    assert sent.status == 403
    assert office.store.waiting() == [ASKED]
    assert office.send(office.form(f"approve {ASKED.id}")).status == 303, "the control: our own page may"


def test_a_rebound_name_gets_nothing(office: Office) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example:8090"):
        assert office.get(host=host).status == 421
        form = office.form(f"approve {ASKED.id}")
        sent = office.send(form, OWN | {"origin": f"http://{host}"}, host=host)
        assert sent.status == 421
    assert office.store.waiting() == [ASKED]


@pytest.mark.parametrize("client", ["10.0.0.9", "192.0.2.1", "2001:db8::1", "::ffff:10.0.0.9"])
def test_only_this_host_is_shown_what_people_wrote(office: Office, client: str) -> None:
    form = office.form(f"approve {ASKED.id}")
    shown, sent = office.get(client=client), office.send(form, client=client)
    assert (shown.status, sent.status) == (403, 403)
    assert b"yearly report" not in shown.body
    assert b"ssh -L" in shown.body
    assert office.get(client="::ffff:127.0.0.1").status == 200
    assert office.store.waiting() == [ASKED]


def test_another_clients_form_and_an_old_one_are_refused(office: Office) -> None:
    form = office.form(f"approve {ASKED.id}")
    assert office.send(form, client="127.0.0.2").status == 403
    office.clock.pass_(hours=1)
    assert office.send(form).status == 403
    assert office.store.waiting() == [ASKED]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"ticket": ""}, 403), ({"ticket": "x.y"}, 403), ({"by": ""}, 422), ({"by": " "}, 422),
        ({"by": "x" * 121}, 422), ({"by": "Pa\nrk"}, 422), ({"by": "kraP\u202e"}, 422),
        ({"by": "Pa\x1b[31mrk"}, 422), ({"do": ""}, 409), ({"do": "approve"}, 409), ({"do": "approve nobody"}, 409),
        ({"do": "delete 1KA8-0000-0000-000J"}, 409), ({"do": "approve 1KA8-0000-0000-000J' OR 1=1"}, 409),
        ({"do": "approve \x00"}, 409),
        ({f"x{n}": "" for n in range(300)}, 403), ({"more": "y" * LIMIT}, 413),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_form_that_makes_no_sense_changes_nothing(office: Office, change: dict[str, str], status: int) -> None:
    sent = office.send(office.form(f"approve {ASKED.id}") | change)
    assert sent.status == status
    assert b"Nothing was changed" in sent.body
    assert (office.store.waiting(), office.told) == ([ASKED], [])


def test_what_is_no_form_is_refused(office: Office) -> None:
    form = office.form(f"approve {ASKED.id}")
    assert office.send(form, OWN | {"content-type": "text/plain"}).status == 403
    assert office.store.waiting() == [ASKED]


def test_what_a_link_says_is_not_shown_unless_it_is_ours(office: Office) -> None:
    for query in ("done=Approved", "done=<script>alert(1)</script>", "done=x.y", "by=Mallory"):
        text = office.get(query).body.decode()
        assert "alert(1)" not in text
        assert 'role="status"' not in text
        assert "Mallory" not in text


def test_a_stored_script_is_text(office: Office) -> None:
    text = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}{% raw %}"
    office.store.ask(replace(ASKED, id="S1", reason=text, purpose=text[:60], approver=text), Form("s1", NOON))
    office.store.ask_review(
        replace(REVIEW, id="S2", text=text, incident=text[:60], subject=replace(SUBJECT, service="", name=text)),
        Form("s2", NOON),
    )
    office.store.give(replace(EXEMPTED, id="S3", reason=text, approver=text, client=None, user=text), NOON)
    page = office.get()
    body = page.body.decode()
    assert "<script" not in body
    assert "<img" not in body
    assert body.count("&lt;script&gt;") >= 7
    assert "49" not in re.sub(r"[0-9A-Za-z_=.-]{60,}", "", body.partition("</style>")[2])
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in page.headers["content-security-policy"]


def test_a_store_that_is_down_is_said(tmp_path: Path) -> None:
    office = Office(Store.at("postgresql://nobody:hunter2@127.0.0.1:1/none", tmp_path), Clock())
    page = office.get()
    assert page.status == 503
    assert b"The store cannot be reached" in page.body
    assert b"hunter2" not in page.body


def test_a_long_list_is_cut_and_counted(office: Office) -> None:
    for number in range(120):
        subject = replace(SUBJECT, client=ip_address(f"10.20.1.{number}"))
        office.store.ask(replace(ASKED, id=f"J{number}", subject=subject), Form(f"j{number}", NOON))
    text = office.get().body.decode()
    assert "Waiting for approval (121)" in text
    assert "The first 100 are shown" in text
    assert text.count("asks for") == 100


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_else_is_taken(office: Office, method: str) -> None:
    assert asyncio.run(ask(office.app, "/grants", method=method)).status == 405
