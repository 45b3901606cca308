"""What a person confirms where the proxy knows who it is: theirs on every client, and nobody else's on this one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from sumun.config.user_settings import UserSettings
from sumun.model.grant import Change
from sumun.model.segment import Authenticate, ProxyPolicy
from sumun.model.user import Identity
from sumun.users.asking import Users
from tests.support.builders import CHATGPT, policy, rule, segment
from tests.support.forms import form_of, serving
from tests.support.origins import Origin
from tests.support.proxies import loopback_settings

pytestmark = pytest.mark.integration
HOST = "chatgpt.com"


class Everybody:
    """Whose password is their name."""

    def check(self, name: str, password: bytes) -> Identity | None:
        return Identity(name) if password == name.encode() else None

    def close(self) -> None: ...


def user(name: str) -> list[str]:
    return ["--proxy-user", f"{name}:{name}"]


def test_a_confirmed_warning_follows_its_user(tmp_path: Path) -> None:
    async def scenario() -> None:
        of = policy(
            segment(
                "office", "127.0.0.0/8", rules=[rule("think", "warn", services=["chatgpt"])],
                proxy=ProxyPolicy(authenticate=Authenticate.REQUIRED),
            ),
            services=[CHATGPT],
        )  # fmt: skip
        origin, users = Origin(), Users(Everybody(), least=0)
        settings = replace(loopback_settings(tmp_path), users=UserSettings())
        async with (
            origin.serving(),
            serving(tmp_path, of, {HOST: "127.0.0.1"}, settings=settings, users=users) as desk,
        ):
            url = f"http://{HOST}:{origin.port}/"
            shown = await desk.open(url, *user("kim"))
            action, fields = form_of(shown)
            stolen = await desk.send(url[:-1] + action, fields, *user("lee"))
            assert stolen.status == 403
            assert [each.change for each in desk.told] == [Change.REFUSED], "a form counts for whom it was made"
            confirmed = await desk.send(url[:-1] + action, fields, *user("kim"))
            assert confirmed.status == 303
            given = next(each for each in desk.told if each.change is Change.GIVEN)
            assert (given.user, given.client) == ("kim", "")
            assert (await desk.open(url, "--proxy-user", "KIM:kim", client="127.0.0.7")).text == "origin speaking"
            assert (await desk.open(url, *user("lee"))).status == 403
        users.close()

    asyncio.run(scenario())
