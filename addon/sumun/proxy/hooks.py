"""Calls the hooks of addons that stay the same.

mitmproxy looks for them anew at every hook of every request, and again for its hook ``update``, which none of these
has: a sixth of what a block page cost. None of them holds a flow up either (``flow.intercept``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from mitmproxy.addonmanager import AddonManager, traverse
from mitmproxy.exceptions import AddonHalt
from mitmproxy.hooks import Hook

logger = logging.getLogger(__name__)

type _Call = Callable[[Any], object]
"""What an addon does; it may be a coroutine function."""


class Hooks:
    """The hooks of one master, each found once."""

    def __init__(self, addons: AddonManager) -> None:
        self._addons = addons
        self._found: dict[str, tuple[_Call, ...]] = {}

    async def run(self, hook: Hook) -> None:
        """Call every addon, each before its children; one that raises does not keep others from being called."""
        calls = self._found.get(hook.name)
        if calls is None:
            calls = self._found[hook.name] = self._find(hook.name)
        (data,) = hook.args()
        for call in calls:
            try:
                if isinstance(waiting := call(data), CoroutineType):
                    await waiting
            except AddonHalt:
                return
            except Exception:
                logger.exception("a hook failed")

    def _find(self, name: str) -> tuple[_Call, ...]:
        found = (getattr(addon, name, None) for addon in traverse(self._addons.chain))
        return tuple(call for call in found if call)
