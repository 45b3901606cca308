from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from mitmproxy.addonmanager import AddonManager
from mitmproxy.exceptions import AddonHalt
from mitmproxy.master import Master
from mitmproxy.options import Options
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import tflow

from sumun.proxy.hooks import Hooks


class Noting:
    """An addon that notes its name on the flow."""

    def __init__(self, name: str, *children: Noting, raises: Exception | None = None) -> None:
        self.addons = list(children)
        self.name, self._raises = name, raises

    def request(self, flow: Any) -> None:
        flow.metadata.setdefault("seen", []).append(self.name)
        if self._raises:
            raise self._raises


class Waiting(Noting):
    async def request(self, flow: Any) -> None:  # type: ignore[override] # mitmproxy takes both kinds
        await asyncio.sleep(0)
        super().request(flow)


class Without:
    """An addon that has nothing to say to requests."""


def seen_by(*addons: object, ours: bool = True) -> list[str]:
    async def main() -> list[str]:
        manager: AddonManager = Master(Options()).addons
        manager.add(*addons)
        flow = tflow.tflow()
        hooks = Hooks(manager)
        for _ in range(2):  # found, and remembered
            await (hooks.run(HttpRequestHook(flow)) if ours else manager.handle_lifecycle(HttpRequestHook(flow)))
        found: list[str] = flow.metadata["seen"]
        return found

    return asyncio.run(main())


def addons() -> list[object]:
    return [Noting("a", Waiting("b"), Noting("c")), Without(), Waiting("d")]


def test_the_order_is_mitmproxys() -> None:
    assert seen_by(*addons()) == ["a", "b", "c", "d"] * 2
    assert seen_by(*addons(), ours=False) == seen_by(*addons())


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(AddonHalt(), ["a"]), (RuntimeError("broken"), ["a", "b", "c", "d"])],
    ids=["a halt keeps later addons from being called", "a failure does not"],
)
def test_an_addon_that_raises(raised: Exception, seen: list[str], caplog: pytest.LogCaptureFixture) -> None:
    several = [Noting("a", raises=raised), Noting("b", Noting("c")), Noting("d")]
    with caplog.at_level(logging.CRITICAL, "mitmproxy"):
        assert seen_by(*several) == seen * 2
